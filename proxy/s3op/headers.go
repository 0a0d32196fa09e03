package s3op

import (
	"bytes"
	"strings"
)

// Group is a set of request headers that belong together.
type Group uint32

// The groups an operation can allow. A header outside the operation's groups is
// dropped, unless it begins with x-amz-: then its Elsewhere says what becomes of it.
const (
	Conditions       Group = 1 << iota // If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since
	Range                              // Range
	IfRange                            // If-Range
	ChecksumMode                       // x-amz-checksum-mode
	Content                            // Cache-Control, Content-Type, Content-Encoding, … stored with the object
	Metadata                           // x-amz-meta-*
	Storage                            // x-amz-storage-class, x-amz-tagging, x-amz-server-side-encryption
	lock                               // x-amz-object-lock-*
	Checksums                          // x-amz-checksum-<algorithm>, x-amz-sdk-checksum-algorithm
	MD5                                // Content-MD5
	CustomerKey                        // x-amz-server-side-encryption-customer-*
	CopyFrom                           // x-amz-copy-source and what qualifies it
	CopyRange                          // x-amz-copy-source-range, of parts only: an object is copied whole
	Directives                         // x-amz-metadata-directive, x-amz-tagging-directive
	ChecksumChoice                     // x-amz-checksum-algorithm, x-amz-checksum-type
	Bypass                             // x-amz-bypass-governance-retention
	newBucket                          // x-amz-bucket-object-lock-enabled, x-amz-object-ownership
	Attributes                         // x-amz-object-attributes and its paging
	ObjectSize                         // x-amz-mp-object-size
	writeConditions                    // If-Match, If-None-Match of conditional writes
	Policy                             // x-amz-confirm-remove-self-bucket-access
	lifecycleDefault                   // x-amz-transition-default-minimum-object-size
)

// FormFields are the groups that the fields of a browser's form may be of, by the
// names of their headers (docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html).
const FormFields = Content | Metadata | Storage | lock | CustomerKey | Checksums | ChecksumChoice | MD5

// Treatment is what the gateway does with a header that has a row.
type Treatment uint8

const (
	// Pass forwards the header as received.
	Pass Treatment = iota
	// Consume means the gateway acts on the header itself; it is never forwarded as received.
	Consume
	// Decline answers NotImplemented with the header's sentence.
	Decline
)

// Elsewhere is what becomes of an x-amz- header on an operation that has no use for it.
type Elsewhere uint8

const (
	// The zero value refuses: what would change what is done, or is no mistake
	// that a client may go on with: the source of a copy, a key.
	_ Elsewhere = iota
	// ignoredElsewhere is for what S3 reads over on operations that it has no
	// meaning for: metadata with a GET, a storage class with a part.
	ignoredElsewhere
	// IgnoredByWrites is for x-amz-server-side-encryption: minio-go sends it with
	// every part of an upload, and S3 refuses it on reads
	// (docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-s3-encryption.html).
	IgnoredByWrites
)

// Header is what the table knows of one request header.
type Header struct {
	Group     Group // 0: every operation takes it
	Treatment Treatment
	Elsewhere Elsewhere
	Hoistable bool // may come as a query parameter of a presigned URL (S3-RULES.md B25)
	Message   string
	Off       string // of what is declined: the value that says that it is off, as it is
}

// emptyAsks are the groups whose headers say something when they are empty, or
// must not be read over: metadata is empty, and a checksum, a condition, a source
// or a key that is none is a mistake.
const emptyAsks = ^(Storage | lock | newBucket | lifecycleDefault)

// AsksNothing reports whether a header with the value asks for what is so without it.
func (h *Header) AsksNothing(value []byte) bool {
	switch {
	case h.Treatment == Decline:
		return len(value) == 0 || h.Off != "" && strings.EqualFold(string(value), h.Off)
	case h.Group != 0:
		return len(value) == 0 && h.Group&emptyAsks == 0
	}
	return false
}

// IgnoredBy reports whether the header asks for nothing on an operation of
// another group.
func (h *Header) IgnoredBy(method string) bool {
	switch h.Elsewhere {
	case ignoredElsewhere:
		return true
	case IgnoredByWrites:
		return method != "GET" && method != "HEAD"
	}
	return false
}

var headers = map[string]Header{
	"if-match":            {Group: Conditions | writeConditions},
	"if-none-match":       {Group: Conditions | writeConditions},
	"if-modified-since":   {Group: Conditions},
	"if-unmodified-since": {Group: Conditions},
	"range":               {Group: Range, Treatment: Consume},
	"if-range":            {Group: IfRange, Treatment: Consume},

	"cache-control":       {Group: Content},
	"content-disposition": {Group: Content},
	"content-encoding":    {Group: Content, Treatment: Consume}, // the aws-chunked token is taken out
	"content-language":    {Group: Content},
	"content-type":        {Group: Content},
	"expires":             {Group: Content},
	"content-md5":         {Group: MD5},

	"x-amz-checksum-mode": {Group: ChecksumMode, Elsewhere: ignoredElsewhere, Hoistable: true},

	"x-amz-storage-class":          {Group: Storage, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-tagging":                {Group: Storage, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-server-side-encryption": {Group: Storage, Treatment: Consume, Elsewhere: IgnoredByWrites, Hoistable: true},

	"x-amz-object-lock-mode":              {Group: lock, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-object-lock-retain-until-date": {Group: lock, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-object-lock-legal-hold":        {Group: lock, Elsewhere: ignoredElsewhere, Hoistable: true},

	"x-amz-checksum-crc32":         {Group: Checksums, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-checksum-crc32c":        {Group: Checksums, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-checksum-crc64nvme":     {Group: Checksums, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-checksum-sha1":          {Group: Checksums, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-checksum-sha256":        {Group: Checksums, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-sdk-checksum-algorithm": {Treatment: Consume, Hoistable: true},
	"x-amz-checksum-algorithm":     {Group: ChecksumChoice, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-checksum-type":          {Group: ChecksumChoice | Checksums, Elsewhere: ignoredElsewhere, Hoistable: true},

	"x-amz-server-side-encryption-customer-algorithm":             {Group: CustomerKey},
	"x-amz-server-side-encryption-customer-key":                   {Group: CustomerKey},
	"x-amz-server-side-encryption-customer-key-md5":               {Group: CustomerKey},
	"x-amz-copy-source-server-side-encryption-customer-algorithm": {Group: CopyFrom},
	"x-amz-copy-source-server-side-encryption-customer-key":       {Group: CopyFrom},
	"x-amz-copy-source-server-side-encryption-customer-key-md5":   {Group: CopyFrom},

	"x-amz-copy-source":                     {Group: CopyFrom, Treatment: Consume},
	"x-amz-copy-source-range":               {Group: CopyRange},
	"x-amz-copy-source-if-match":            {Group: CopyFrom},
	"x-amz-copy-source-if-none-match":       {Group: CopyFrom},
	"x-amz-copy-source-if-modified-since":   {Group: CopyFrom},
	"x-amz-copy-source-if-unmodified-since": {Group: CopyFrom},
	"x-amz-metadata-directive":              {Group: Directives, Elsewhere: ignoredElsewhere},
	"x-amz-tagging-directive":               {Group: Directives, Elsewhere: ignoredElsewhere},

	"x-amz-bypass-governance-retention": {Group: Bypass, Elsewhere: ignoredElsewhere, Treatment: Consume},
	"x-amz-bucket-object-lock-enabled":  {Group: newBucket, Elsewhere: ignoredElsewhere, Treatment: Consume},
	"x-amz-object-ownership":            {Group: newBucket, Elsewhere: ignoredElsewhere, Treatment: Consume},
	"x-amz-object-attributes":           {Group: Attributes, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-max-parts":                   {Group: Attributes, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-part-number-marker":          {Group: Attributes, Elsewhere: ignoredElsewhere, Hoistable: true},
	"x-amz-mp-object-size":              {Group: ObjectSize, Elsewhere: ignoredElsewhere},

	"x-amz-confirm-remove-self-bucket-access": {Group: Policy, Elsewhere: ignoredElsewhere, Treatment: Consume},

	"x-amz-transition-default-minimum-object-size": {Group: lifecycleDefault, Treatment: Consume, Elsewhere: ignoredElsewhere},

	"x-amz-date":                         {Treatment: Consume},
	"x-amz-content-sha256":               {Treatment: Consume},
	"x-amz-decoded-content-length":       {Treatment: Consume},
	"x-amz-trailer":                      {Treatment: Consume},
	"x-amz-user-agent":                   {Treatment: Consume, Hoistable: true},
	"x-amz-te":                           {Treatment: Consume, Hoistable: true},
	"x-amz-request-payer":                {Treatment: Consume, Hoistable: true},
	"x-amz-optional-object-attributes":   {Treatment: Consume, Hoistable: true},
	"x-amz-expected-bucket-owner":        {Treatment: Consume, Hoistable: true},
	"x-amz-source-expected-bucket-owner": {Treatment: Consume, Hoistable: true},
	"x-amz-acl":                          {Treatment: Consume, Hoistable: true},
	"x-amz-security-token":               {Treatment: Consume},

	// They say who asks, or what was answered: the C++ and .NET SDKs sign the
	// first, proxies and retries send back the others.
	"x-amz-api-version": {Treatment: Consume, Hoistable: true},
	"x-amz-id-2":        {Treatment: Consume, Hoistable: true},
	"x-amz-request-id":  {Treatment: Consume, Hoistable: true},

	"x-amz-grant-full-control": {Treatment: Decline, Message: sentenceACL},
	"x-amz-grant-read":         {Treatment: Decline, Message: sentenceACL},
	"x-amz-grant-read-acp":     {Treatment: Decline, Message: sentenceACL},
	"x-amz-grant-write":        {Treatment: Decline, Message: sentenceACL},
	"x-amz-grant-write-acp":    {Treatment: Decline, Message: sentenceACL},
	"x-amz-mfa":                {Treatment: Decline, Message: "MFA delete is not supported."},
	"x-amz-website-redirect-location": {Treatment: Decline, Message: "Website redirects are not supported; " +
		"leave x-amz-website-redirect-location out."},
	"x-amz-write-offset-bytes":                        {Treatment: Decline, Message: "Appending to an object is not supported; write the whole object."},
	"x-amz-if-match-last-modified-time":               {Treatment: Decline, Message: sentenceConditionalDelete},
	"x-amz-if-match-size":                             {Treatment: Decline, Message: sentenceConditionalDelete},
	"x-amz-server-side-encryption-aws-kms-key-id":     {Treatment: Decline, Message: sentenceKMS},
	"x-amz-server-side-encryption-context":            {Treatment: Decline, Message: sentenceKMS},
	"x-amz-server-side-encryption-bucket-key-enabled": {Treatment: Decline, Message: sentenceKMS, Off: "false"},
	// CVE-2026-40344: MinIO unpacks archives on these, also from a tenant's own signed request.
	"x-amz-meta-snowball-auto-extract": {Treatment: Decline, Message: sentenceSnowball},
}

const (
	sentenceACL = "Access control lists beyond \"private\" are not supported; " +
		"use access keys with fewer rights, or a bucket policy that lets everyone read."
	sentenceConditionalDelete = "Conditional deletes are not supported; delete without If-Match."
	sentenceKMS               = "Keys of a key management service are not supported; use AES256 or a customer-provided key."
	sentenceSnowball          = "Archives are not unpacked on upload; upload the objects one by one."
	sentenceUnknownHeader     = "This x-amz- header is not supported."
)

var (
	prefixAmz      = []byte("x-amz-")
	prefixMeta     = []byte("x-amz-meta-")
	prefixSnowball = []byte("x-amz-meta-minio-snowball-")
	prefixSDK      = []byte("x-amz-sdk-") // what an SDK says of itself
	prefixCDN      = []byte("x-amz-cf-")  // what CloudFront says of its request
	metadataHeader = Header{Group: Metadata, Elsewhere: ignoredElsewhere, Hoistable: true}
	idleHeader     = Header{Treatment: Consume, Hoistable: true}
	snowballHeader = Header{Treatment: Decline, Message: sentenceSnowball}
	unknownAmz     = Header{Treatment: Decline, Message: sentenceUnknownHeader}
	droppedHeader  = Header{Treatment: Consume}
)

// LookupHeader says how to treat the request header of the given lower-case
// name. Headers without a row are dropped (Consume), unless they begin with
// x-amz-, which are declined: they may ask for something that would not be done.
// x-minio- headers are dropped: none of them may have an effect (S3-RULES.md D7).
func LookupHeader(lower []byte) Header {
	if h, ok := headers[string(lower)]; ok {
		return h
	}
	switch {
	case bytes.HasPrefix(lower, prefixSnowball):
		return snowballHeader
	case bytes.HasPrefix(lower, prefixMeta):
		return metadataHeader
	case bytes.HasPrefix(lower, prefixSDK), bytes.HasPrefix(lower, prefixCDN):
		return idleHeader
	case bytes.HasPrefix(lower, prefixAmz):
		return unknownAmz
	}
	return droppedHeader
}

// Headers lists the headers that have a row.
func Headers(visit func(name string, h Header)) {
	for name, h := range headers {
		visit(name, h)
	}
}
