package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
	"github.com/primecloudpro/primecloud/proxy/socket"
	"github.com/primecloudpro/primecloud/proxy/upstream"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// s3Error is an answer in S3's own error form.
type s3Error struct {
	code    string
	message string // "": the code's usual sentence
	region  string // AuthorizationHeaderMalformed and redirects tell the client the region
	retry   int    // seconds after which a 503 may be tried again; 0: 1
	cause   error  // for the log; never shown
	about   s3xml.About
}

func (e *s3Error) Error() string {
	s := e.code + ": " + e.text()
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

func (e *s3Error) Unwrap() error { return e.cause }

func (e *s3Error) text() string {
	if e.message != "" {
		return e.message
	}
	return codes[e.code].message
}

func (e *s3Error) status() int {
	if c, ok := codes[e.code]; ok {
		return c.status
	}
	return 500
}

// refuse makes an error of a code with a sentence of its own.
func refuse(code, message string) error { return &s3Error{code: code, message: message} }

// invalid is InvalidArgument with S3's name of the argument; value may be nil
// where S3 does not repeat it, and must be where it is a secret.
func invalid(message, argument string, value []byte) error {
	return &s3Error{code: "InvalidArgument", message: message,
		about: s3xml.About{Argument: argument, Value: string(value), HasValue: value != nil}}
}

// tooLarge and tooSmall say how much was sent, and how much may be.
func tooLarge(size, most int64) error {
	return &s3Error{code: "EntityTooLarge", about: s3xml.About{ProposedSize: strconv.FormatInt(size, 10), MaxSizeAllowed: strconv.FormatInt(most, 10)}}
}

func tooSmall(size, least int64) error {
	return &s3Error{code: "EntityTooSmall", about: s3xml.About{ProposedSize: strconv.FormatInt(size, 10), MinSizeAllowed: strconv.FormatInt(least, 10)}}
}

// badDigest says which of two digests was sent.
func badDigest(sent, computed string) error {
	return &s3Error{code: "BadDigest", about: s3xml.About{ExpectedDigest: sent, CalculatedDigest: computed}}
}

// codes are S3's error codes with their HTTP status
// (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html) and the sentence
// that S3 sends, which is not the page's: some clients compare it, so that it is
// S3's to the full stop. Codes that S3 lacks, and sentences about accounts, forms and
// connections of this gateway, are its own.
var codes = map[string]struct {
	status  int
	message string
}{
	"AccessDenied":                          {403, "Access Denied"},
	"AccessForbidden":                       {403, "CORSResponse: CORS is not enabled for this bucket."},
	"AccountProblem":                        {403, "There is a problem with this account that prevents the request; contact support."},
	"AuthorizationHeaderMalformed":          {400, "The authorization header that you provided is not valid."},
	"AuthorizationQueryParametersError":     {400, "The authorization query parameters are malformed."},
	"BadDigest":                             {400, "The Content-MD5 or checksum value that you specified did not match what the server received."},
	"BadRequest":                            {400, "The request is not valid HTTP."},
	"BucketAlreadyExists":                   {409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."},
	"BucketAlreadyOwnedByYou":               {409, "Your previous request to create the named bucket succeeded and you already own it."},
	"BucketNotEmpty":                        {409, "The bucket you tried to delete is not empty"},
	"ConditionalRequestConflict":            {409, "The conditional request cannot succeed due to a conflicting operation against this resource."},
	"ClientDisconnected":                    {499, "The client closed the connection."},
	"EntityTooLarge":                        {400, "Your proposed upload exceeds the maximum allowed size"},
	"EntityTooSmall":                        {400, "Your proposed upload is smaller than the minimum allowed size"},
	"ExpectationFailed":                     {417, "Only Expect: 100-continue is supported."},
	"IllegalLocationConstraintException":    {400, "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."},
	"IncompleteBody":                        {400, "You did not provide the number of bytes specified by the Content-Length HTTP header"},
	"InternalError":                         {500, "We encountered an internal error. Please try again."},
	"InvalidAccessKeyId":                    {403, "The AWS Access Key Id you provided does not exist in our records."},
	"InvalidArgument":                       {400, "Invalid Argument"},
	"InvalidBucketName":                     {400, "The specified bucket is not valid."},
	"InvalidBucketState":                    {409, "The request is not valid with the current state of the bucket."},
	"InvalidChunkSizeError":                 {403, "A chunk of the body has an invalid size."},
	"InvalidDigest":                         {400, "The Content-MD5 or checksum value that you specified is not valid."},
	"InvalidLocationConstraint":             {400, "The specified location-constraint is not valid"},
	"InvalidObjectState":                    {403, "The operation is not valid for the object's storage class"},
	"InvalidPart":                           {400, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."},
	"InvalidPartNumber":                     {416, "The requested partnumber is not satisfiable"},
	"InvalidPartOrder":                      {400, "The list of parts was not in ascending order. Parts must be ordered by part number."},
	"InvalidPolicyDocument":                 {400, "The content of the form does not meet the conditions specified in the policy document."},
	"InvalidRange":                          {416, "The requested range is not satisfiable"},
	"InvalidRequest":                        {400, "Invalid Request"},
	"InvalidStorageClass":                   {400, "The storage class you specified is not valid"},
	"InvalidTag":                            {400, "The tag provided was not a valid tag. This error can occur if the tag did not pass input validation."},
	"InvalidToken":                          {403, "Temporary credentials are not supported; leave the security token out."},
	"InvalidURI":                            {400, "Couldn't parse the specified URI."},
	"KeyTooLongError":                       {400, "Your key is too long"},
	"MalformedACLError":                     {400, "The XML you provided was not well-formed or did not validate against our published schema"},
	"MalformedPOSTRequest":                  {400, "The body of your POST request is not well-formed multipart/form-data."},
	"MalformedPolicy":                       {400, "The policy is not valid."},
	"MalformedTrailerError":                 {400, "The request contained trailing data that was not well-formed."},
	"MalformedXML":                          {400, "The XML you provided was not well-formed or did not validate against our published schema"},
	"MaxMessageLengthExceeded":              {400, "Your request was too big."},
	"MaxPostPreDataLengthExceededError":     {400, "Your POST request fields preceding the upload file were too large."},
	"MetadataTooLarge":                      {400, "Your metadata headers exceed the maximum allowed metadata size"},
	"MethodNotAllowed":                      {405, "The specified method is not allowed against this resource."},
	"MisdirectedRequest":                    {421, "This server does not serve the host of the request."},
	"MissingContentLength":                  {411, "You must provide the Content-Length HTTP header."},
	"MissingSecurityHeader":                 {400, "Your request was missing a required header"},
	"NoSuchBucket":                          {404, "The specified bucket does not exist"},
	"NoSuchBucketPolicy":                    {404, "The bucket policy does not exist"},
	"NoSuchCORSConfiguration":               {404, "The CORS configuration does not exist"},
	"NoSuchKey":                             {404, "The specified key does not exist."},
	"NoSuchLifecycleConfiguration":          {404, "The lifecycle configuration does not exist"},
	"NoSuchObjectLockConfiguration":         {404, "The specified object does not have a ObjectLock configuration"},
	"NoSuchTagSet":                          {404, "The TagSet does not exist"},
	"NoSuchUpload":                          {404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."},
	"NoSuchVersion":                         {404, "The specified version does not exist."},
	"NoSuchWebsiteConfiguration":            {404, "The specified bucket does not have a website configuration"},
	"NotFound":                              {404, "Not found."},
	"NotImplemented":                        {501, "A header you provided implies functionality that is not implemented"},
	"NotModified":                           {304, "Not modified."},
	"ObjectLockConfigurationNotFoundError":  {404, "Object Lock configuration does not exist for this bucket"},
	"OperationAborted":                      {409, "A conflicting conditional operation is currently in progress against this resource. Please try again."},
	"OwnershipControlsNotFoundError":        {404, "The bucket ownership controls were not found"},
	"PreconditionFailed":                    {412, "At least one of the pre-conditions you specified did not hold"},
	"ReplicationConfigurationNotFoundError": {404, "The replication configuration was not found"},
	"QuotaExceeded":                         {403, "The budget is used up."},
	"RequestHeaderSectionTooLarge":          {400, "Your request header section exceeds the maximum allowed size."},
	"RequestTimeTooSkewed":                  {403, "The difference between the request time and the current time is too large."},
	"RequestTimeout":                        {400, "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."},
	"ServerSideEncryptionConfigurationNotFoundError": {404, "The server side encryption configuration was not found"},
	"ServiceUnavailable":                             {503, "Service is unable to handle request."},
	"SignatureDoesNotMatch":                          {403, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	"SlowDown":                                       {503, "Please reduce your request rate."},
	"TooManyBuckets":                                 {400, "You have attempted to create more buckets than allowed"},
	"UnexpectedContent":                              {400, "This request does not support content"},
	"XAmzContentChecksumMismatch":                    {400, "The provided 'x-amz-checksum' header does not match what was computed."},
	"XAmzContentSHA256Mismatch":                      {400, "The provided 'x-amz-content-sha256' header does not match what was computed."},

	"InvalidTargetBucketForLogging": {400, "The target bucket for logging does not exist or is not owned by you."},
}

var (
	errMissingLength = &s3Error{code: "MissingContentLength"}
	errIncomplete    = &s3Error{code: "IncompleteBody"}
	errDenied        = &s3Error{code: "AccessDenied"}
)

// sentinels is the only table from other packages' errors to S3 codes.
var sentinels = []struct {
	err  error
	code string
}{
	{tenancy.ErrCrowded, "SlowDown"}, // it comes with ErrUnavailable
	{tenancy.ErrUnavailable, "ServiceUnavailable"},
	{tenancy.ErrKeyUnknown, "InvalidAccessKeyId"},
	{tenancy.ErrKeyRetired, "InvalidAccessKeyId"},
	{tenancy.ErrKeyExists, "OperationAborted"},
	{tenancy.ErrAccountUnknown, "AccountProblem"},
	{tenancy.ErrAccountExists, "OperationAborted"},
	{tenancy.ErrBucketUnknown, "NoSuchBucket"},
	{tenancy.ErrTooManyUploadRules, "SlowDown"},
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

// asS3 turns any error of a stage into what the client is told. The text of an
// error that nobody foresaw goes to the log only.
func asS3(err error) *s3Error {
	var (
		own     *s3Error
		limited *limits.RefusalError
		signed  *sigv4.Error
		refusal *s3op.RefusalError
		doc     *s3xml.DocError
		chunked fasthttp.ErrBrokenChunk // the client's transfer coding (RFC 9112 section 7.1), or its end
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &signed):
		return &s3Error{code: signed.Code, message: signed.Message, region: signed.Region, about: s3xml.About{Argument: signed.Argument}}
	case errors.As(err, &refusal):
		return &s3Error{code: refusal.Code, message: refusal.Message,
			about: s3xml.About{Argument: refusal.Argument, Value: refusal.Value, HasValue: refusal.HasValue}}
	case errors.As(err, &limited):
		return limitError(limited)
	case errors.As(err, &doc):
		return &s3Error{code: doc.Code, message: doc.Message}
	case errors.As(err, &chunked):
		return &s3Error{code: "BadRequest", cause: err}
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return &s3Error{code: s.code, cause: err}
		}
	}
	return &s3Error{code: "InternalError", cause: err}
}
