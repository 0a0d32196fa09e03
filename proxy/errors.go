package proxy

import (
	"errors"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/proxy/s3err"
)

var (
	errMissingLength = &s3err.Error{Code: "MissingContentLength"}
	errIncomplete    = &s3err.Error{Code: "IncompleteBody"}
	errDenied        = &s3err.Error{Code: "AccessDenied"}
)

// asS3 turns any error of a stage into what the client is told. What is fasthttp's
// own is known here, the rest in s3err.
func asS3(err error) *s3err.Error {
	e, known := s3err.Of(err)
	var chunked fasthttp.ErrBrokenChunk // the client's transfer coding (RFC 9112 section 7.1), or its end
	if !known && errors.As(err, &chunked) {
		return &s3err.Error{Code: "BadRequest", Cause: err}
	}
	return e
}
