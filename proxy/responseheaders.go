package proxy

import (
	"bytes"
	"fmt"
	"log/slog"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// transitionDefault is what S3 answers of every lifecycle that was not given
// another minimum: Terraform puts it and waits until it is answered
// (docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html).
// There are no transitions here, so that it is true of every bucket, and nothing is kept.
const transitionDefault = "all_storage_classes_128K"

// copyHeaders makes the response's headers of what the backend says. Whatever it
// does not say, or says in a way in which no field value is written, is not there.
func (x *exchange) copyHeaders() error {
	x.setCommonHeaders()
	h := &x.ctx.Response.Header
	var bad *s3op.ResponseHeader
	x.resp.VisitHeaders(func(name, value []byte, fit bool) {
		// The response copies it: names of metadata may be as long as all of it.
		n := len(x.arena)
		x.arena = appendLower(x.arena, name)
		key := x.arena[n:]
		x.arena = x.arena[:n]
		if bytes.HasPrefix(key, metaPrefix) && x.op.Told&s3op.TellsObject != 0 {
			if fit {
				h.AddBytesKV(key, value)
			}
			return
		}
		row := x.op.Tells(key)
		if row == nil {
			return
		}
		// One that comes twice says nothing, or the same.
		said := h.Peek(row.Wire)
		switch {
		case fit && len(said) == 0:
			h.SetBytesV(row.Wire, value)
		case fit && (bytes.Equal(said, value) || !row.Vital):
		case bad == nil || row.Vital && !bad.Vital:
			bad = row
		}
	})
	if bad != nil {
		if err := x.unfit(bad); err != nil {
			return err
		}
	}
	if more := x.handler().headers; more != nil {
		more(h)
	}
	if x.op.Response == s3op.Bytes {
		// Objects are the account's, not ours: no guessing of types (S3-RULES.md F5).
		h.Set("X-Content-Type-Options", "nosniff")
	}
	return nil
}

// unfit tells the operator of a header that is left out, or that there is no response
// without it.
func (x *exchange) unfit(row *s3op.ResponseHeader) error {
	x.srv.log.LogAttrs(x.srv.ctx, slog.LevelWarn, "a header of the backend's answer is not fit to be passed on",
		slog.String("request", string(x.id[:])), slog.String("backend", x.backend.of.Name), slog.String("operation", operationName(x.op)),
		slog.String("header", row.Wire), slog.Bool("refused", row.Vital))
	if !row.Vital {
		return nil
	}
	return &s3err.Error{Code: "ServiceUnavailable", Cause: fmt.Errorf("the backend's %s is no field value, or there are two", row.Wire)}
}

// errorHeaders tell what the condition failed on, or that a delete marker is there.
var errorHeaders = [...]string{"etag", "last-modified", "x-amz-version-id", "x-amz-delete-marker"}

func (x *exchange) keepErrorHeaders() {
	for i, name := range errorHeaders {
		if x.op.Tells([]byte(name)) != nil {
			x.errorHeaders[i] = x.keep(x.resp.Header(name))
		}
	}
}

// transitionSize says what is true of every lifecycle here.
func transitionSize(h *fasthttp.ResponseHeader) {
	h.Set("x-amz-transition-default-minimum-object-size", transitionDefault)
}
