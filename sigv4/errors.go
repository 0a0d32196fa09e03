package sigv4

// Error is a refusal. Code is S3's error code, Message a sentence for the
// client that says what to do; neither holds a secret or a computed signature.
type Error struct {
	Code     string
	Message  string
	Region   string // AuthorizationHeaderMalformed: the region to sign for
	Argument string // InvalidArgument: S3's name of what is wrong; its value may be a secret
}

func (e *Error) Error() string { return "sigv4: " + e.Code + ": " + e.Message }

// Is makes errors.Is compare codes, so that a sentinel below matches every
// error of its code, whatever its sentence.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Sentinels, one for each code this package answers with.
var (
	ErrSignatureDoesNotMatch = &Error{Code: "SignatureDoesNotMatch", Message: "The request signature we calculated does not match the signature you provided. " +
		"Check your key and signing method."}
	ErrAccessDenied                 = &Error{Code: "AccessDenied", Message: "Access Denied"}
	ErrRequestTimeTooSkewed         = &Error{Code: "RequestTimeTooSkewed", Message: "The difference between the request time and the current time is too large."}
	ErrAuthorizationHeaderMalformed = &Error{Code: "AuthorizationHeaderMalformed", Message: "The authorization header that you provided is not valid."}
	ErrAuthorizationQuery           = &Error{Code: "AuthorizationQueryParametersError", Message: "The authorization query parameters are malformed."}
	ErrInvalidArgument              = &Error{Code: "InvalidArgument", Message: "Invalid Argument"}
	ErrInvalidRequest               = &Error{Code: "InvalidRequest", Message: "Invalid Request"}
	ErrInvalidToken                 = &Error{Code: "InvalidToken", Message: "Temporary credentials are not supported; leave the security token out."}
	ErrInvalidURI                   = &Error{Code: "InvalidURI", Message: "Couldn't parse the specified URI."}
	ErrNotImplemented               = &Error{Code: "NotImplemented", Message: "This signing method is not supported."}
	ErrMissingSecurityHeader        = &Error{Code: "MissingSecurityHeader", Message: "Your request was missing a required header"}
	ErrIncompleteBody               = &Error{Code: "IncompleteBody", Message: "The request body ended before the number of bytes that it announced."}
	ErrInvalidChunkSize             = &Error{Code: "InvalidChunkSizeError", Message: "A chunk header of the body is not well-formed."}
	ErrMalformedTrailer             = &Error{Code: "MalformedTrailerError", Message: "The request contained trailing data that was not well-formed."}
	ErrBadDigest                    = &Error{Code: "XAmzContentChecksumMismatch", Message: "The checksum that you sent did not match what the server received."}
	ErrInvalidPolicyDocument        = &Error{Code: "InvalidPolicyDocument", Message: "The content of the form does not meet the conditions specified in the policy document."}
)

func failed(base *Error, message string) *Error {
	return &Error{Code: base.Code, Message: message, Region: base.Region}
}

// about names the argument as S3 does.
func (e *Error) about(argument string) *Error {
	e.Argument = argument
	return e
}
