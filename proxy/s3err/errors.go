// Package s3err is what the gateway refuses with: S3's error codes with their status
// and sentence, and the tables that make one of them of every other package's errors
// and of a backend's codes. Nothing else says what a client is told of an error.
package s3err

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/socket"
	"github.com/primecloudpro/primecloud/proxy/upstream"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Error is a refusal in S3's own form. Values that several requests are answered
// with are shared: do not change one that was returned.
type Error struct {
	Code    string
	Message string // for the client; "": the code's usual sentence
	Region  string // AuthorizationHeaderMalformed: the region to sign for
	Retry   int    // seconds after which a 503 may be tried again; 0: 1
	Cause   error  // for the log; never shown
	Details
}

// Details are what S3 says with a code beside its sentence: elements of its error
// document, which the tags name.
type Details struct {
	Argument string `xml:"ArgumentName"`  // of InvalidArgument: S3's name of what is wrong, "" where it has none
	Value    string `xml:"ArgumentValue"` // as the client sent it, where S3 repeats it and it is no secret
	HasValue bool   `xml:"-"`             // an empty value is said too

	ActualObjectSize string // of InvalidRange
	RangeRequested   string
	ActualPartCount  string // of InvalidPartNumber
	PartRequested    string `xml:"PartNumberRequested"`

	UploadID         string `xml:"UploadId"` // of NoSuchUpload
	Method           string // of MethodNotAllowed
	ResourceType     string
	Condition        string // of PreconditionFailed
	ProposedSize     string // of EntityTooLarge and EntityTooSmall
	MaxSizeAllowed   string
	MinSizeAllowed   string
	ExpectedDigest   string // of BadDigest
	CalculatedDigest string
}

// New returns an error with a sentence of its own.
func New(code, message string) *Error { return &Error{Code: code, Message: message} }

// InvalidArgument returns an error with S3's name of the argument. The value is
// nil where S3 does not repeat it, and must be where it is a secret.
func InvalidArgument(message, argument string, value []byte) *Error {
	return &Error{Code: "InvalidArgument", Message: message,
		Details: Details{Argument: argument, Value: string(value), HasValue: value != nil}}
}

// WithArgument returns a copy of e that names the argument that was wrong, and its
// value.
func (e *Error) WithArgument(argument string, value []byte) *Error {
	with := *e
	with.Argument, with.Value, with.HasValue = argument, string(value), true
	return &with
}

// TooLarge is the error of an upload of size bytes where most are allowed.
func TooLarge(size, most int64) *Error {
	return &Error{Code: "EntityTooLarge", Details: Details{ProposedSize: strconv.FormatInt(size, 10), MaxSizeAllowed: strconv.FormatInt(most, 10)}}
}

// TooSmall is the error of an upload of size bytes where least are wanted.
func TooSmall(size, least int64) *Error {
	return &Error{Code: "EntityTooSmall", Details: Details{ProposedSize: strconv.FormatInt(size, 10), MinSizeAllowed: strconv.FormatInt(least, 10)}}
}

// BadDigest is the error of a digest that is not what was received.
func BadDigest(sent, computed string) *Error {
	return &Error{Code: "BadDigest", Details: Details{ExpectedDigest: sent, CalculatedDigest: computed}}
}

func (e *Error) Error() string {
	s := e.Code + ": " + e.Text()
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// Text is the sentence for the client.
func (e *Error) Text() string {
	if e.Message != "" {
		return e.Message
	}
	return codes[e.Code].message
}

// Status is the HTTP status that the code is answered with.
func (e *Error) Status() int {
	if c, ok := codes[e.Code]; ok {
		return c.status
	}
	return 500
}

// sentinels are other packages' errors and their codes. The first that matches
// counts.
var sentinels = []struct {
	err  error
	code string
}{
	{tenancy.ErrCrowded, "SlowDown"}, // it comes with ErrUnavailable
	{tenancy.ErrUnavailable, "ServiceUnavailable"},
	{tenancy.ErrNotOpened, "ServiceUnavailable"}, // it may be good: the operator's to mend
	{tenancy.ErrKeyUnknown, "InvalidAccessKeyId"},
	{tenancy.ErrDomainNotS3, "MisdirectedRequest"},
	{tenancy.ErrKeyRetired, "InvalidAccessKeyId"},
	{tenancy.ErrKeyExists, "OperationAborted"},
	{tenancy.ErrAccountUnknown, "AccountProblem"},
	{tenancy.ErrAccountExists, "OperationAborted"},
	{tenancy.ErrBucketUnknown, "NoSuchBucket"},
	{tenancy.ErrTooManyUploadRules, "SlowDown"},
	{tenancy.ErrUploadRulesUnknown, "ServiceUnavailable"}, // the backend names rules that PostgreSQL has not
	{tenancy.ErrBucketExists, "BucketAlreadyOwnedByYou"},
	{tenancy.ErrBucketBusy, "OperationAborted"},
	{tenancy.ErrBucketTaken, "BucketAlreadyExists"},
	{tenancy.ErrTooManyBuckets, "TooManyBuckets"},
	{tenancy.ErrInvalidName, "InvalidBucketName"},
	{tenancy.ErrInvalidLimit, "InvalidArgument"},
	{tenancy.ErrBackendUnknown, "ServiceUnavailable"},
	{tenancy.ErrBackendChanged, "ServiceUnavailable"},
	{tenancy.ErrKeyChanged, "InvalidAccessKeyId"},
	{tenancy.ErrBackendExists, "OperationAborted"},
	{tenancy.ErrNoBackend, "ServiceUnavailable"},
	{upstream.ErrNoEndpoint, "ServiceUnavailable"},
	{socket.ErrSlow, "RequestTimeout"},
	{os.ErrDeadlineExceeded, "RequestTimeout"},
	{context.DeadlineExceeded, "ServiceUnavailable"},
	{context.Canceled, "ServiceUnavailable"},
	{io.ErrUnexpectedEOF, "IncompleteBody"},
	{net.ErrClosed, "ClientDisconnected"},
}

// Of turns any error into what the client is told. The text of an error that has no
// row here is only its cause, for the log; known is false then, and the code
// InternalError.
func Of(err error) (e *Error, known bool) {
	var (
		own     *Error
		signed  *sigv4.Error
		limited *limits.RefusalError
	)
	switch {
	case errors.As(err, &own):
		return own, true
	case errors.As(err, &signed):
		return &Error{Code: signed.Code, Message: signed.Message, Region: signed.Region, Details: Details{Argument: signed.Argument}}, true
	case errors.As(err, &limited):
		return ofLimit(limited), true
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return &Error{Code: s.code, Cause: err}, true
		}
	}
	return &Error{Code: "InternalError", Cause: err}, false
}

// ofLimit is what a refusal of the limits is in S3. That a budget is used up does
// not pass by itself, so that clients must not try again: 403. The others do: 503.
func ofLimit(e *limits.RefusalError) *Error {
	code := "SlowDown"
	switch e.Reason {
	case limits.Exhausted:
		code = "QuotaExceeded"
	case limits.Unknown:
		code = "ServiceUnavailable"
	}
	return &Error{Code: code, Message: e.Message, Retry: int(e.RetryAfter.Seconds()), Cause: e}
}
