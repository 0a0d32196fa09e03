package s3err

// backendCodes are the codes that MinIO made up, in S3's terms (S3-RULES.md F4).
var backendCodes = map[string]struct{ code, message string }{
	"XMinioInvalidObjectName":        {"InvalidArgument", "The object key has characters or segments that are not allowed."},
	"XMinioInvalidResourceName":      {"InvalidArgument", "The object key has characters or segments that are not allowed."},
	"XMinioObjectExistsAsDirectory":  {"InvalidArgument", "An object of that name exists as a prefix of others."},
	"XMinioParentIsObject":           {"InvalidArgument", "A part of the key's path is an object already."},
	"XMinioStorageFull":              {"ServiceUnavailable", "The storage is full; contact support."},
	"XMinioServerNotInitialized":     {"ServiceUnavailable", ""},
	"XMinioAdminBucketQuotaExceeded": {"SlowDown", ""},
	"XMinioBackendDown":              {"ServiceUnavailable", ""},
	"SlowDownRead":                   {"SlowDown", ""},
	"SlowDownWrite":                  {"SlowDown", ""},
	"TooManyRequests":                {"SlowDown", ""},
	"Busy":                           {"SlowDown", ""},
	"XMinioServerTimedOut":           {"ServiceUnavailable", ""},
	// About the connection between gateway and backend, or about MinIO's own locks:
	// the client's connection is looked at here.
	"RequestTimeout":                {"SlowDown", ""},
	"ClientDisconnected":            {"ServiceUnavailable", ""},
	"NoSuchObjectLockConfiguration": {"NoSuchObjectLockConfiguration", ""},
	"InvalidBucketName":             {"NoSuchBucket", ""},
	"ObjectLocked":                  {"AccessDenied", "The object is protected by a retention period or a legal hold."},
	"XAmzContentChecksumMismatch":   {"XAmzContentChecksumMismatch", ""},
	"XMinioContentSHA256Mismatch":   {"XAmzContentSHA256Mismatch", ""},
	"PreconditionFailed":            {"PreconditionFailed", ""},
}

// OfBackend maps a backend's error code to what clients see. message is "" where the
// code's usual sentence does; known is false for what is no code of the table, whose
// meaning must not get out.
func OfBackend(code string) (mapped, message string, known bool) {
	mapped = code
	if m, found := backendCodes[code]; found {
		mapped, message = m.code, m.message
	}
	_, known = codes[mapped]
	return mapped, message, known
}

// gatewayCodes are MinIO's (cmd/api-errors.go) and S3's codes about the
// gateway that asked: its credential, its signature, its clock, the request that it made.
// InvalidObjectState is not among them, though a 403 too: it is about the
// object. A lock that protects an object is 400 InvalidRequest in MinIO.
var gatewayCodes = map[string]bool{
	"AccountProblem": true, "AllAccessDisabled": true, "AuthorizationHeaderMalformed": true, "AuthorizationParametersError": true,
	"AuthorizationQueryParametersError": true, "CredentialsNotSupported": true, "ExpiredToken": true, "InvalidAccessKeyId": true, "InvalidPayer": true, "InvalidSecurity": true,
	"InvalidToken": true, "InvalidTokenId": true, "MalformedDate": true, "MissingAuthenticationToken": true, "MissingContentLength": true,
	"MissingFields": true, "MissingHeaders": true, "MissingRequestBodyError": true, "MissingSecurityHeader": true, "NotSignedUp": true,
	"PermanentRedirect": true, "Redirect": true, "RequestExpired": true, "RequestTimeTooSkewed": true, "SignatureDoesNotMatch": true,
	"TemporaryRedirect": true, "TokenRefreshRequired": true, "UnauthorizedAccess": true, "XMinioAdminNoSuchUser": true,
	"XMinioInvalidIAMCredentials": true,
}

// AboutGateway reports whether a backend's code is about the gateway that asked, and
// not about its client.
func AboutGateway(code string) bool { return gatewayCodes[code] }

// backendStatuses are those that S3 refuses an operation with
// (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html), the ones of
// a proxy in front of a backend that is away, and MinIO's for a lock that it
// waited for too long (408), for what it gave up (499) and for disks that are
// full (507; cmd/api-errors.go). Of the others none is about the
// request that the client made: 401 and 407 want a credential of ours, 411 is
// about our framing, 3xx sends us elsewhere.
var backendStatuses = map[int]string{ // the code of a response without a document: to HEAD above all
	400: "InvalidRequest", 403: "AccessDenied", 404: "NotFound", 405: "MethodNotAllowed", 408: "ServiceUnavailable", 409: "OperationAborted",
	412: "PreconditionFailed", 416: "InvalidRange", 429: "SlowDown", 499: "ServiceUnavailable", 500: "InternalError", 501: "NotImplemented",
	502: "ServiceUnavailable", 503: "ServiceUnavailable", 504: "ServiceUnavailable", 507: "ServiceUnavailable",
}

// OfBackendStatus maps a backend's status without a document, or with a code that is
// not known, to a code; known is false for a status that S3 refuses nothing with.
func OfBackendStatus(status int) (code string, known bool) {
	code, known = backendStatuses[status]
	return code, known
}
