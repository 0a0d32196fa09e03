package s3op

// Told is a set of kinds of answers, by the headers that S3 tells with them.
type Told uint16

// The kinds of answers that tell something in headers of their own. The answers
// of all other operations have none of a backend's.
const (
	TellsObject   Told = 1 << iota // GetObject, HeadObject: all of an object, with its metadata
	tellsStored                    // PutObject, PostObject
	tellsPart                      // UploadPart
	tellsCopy                      // CopyObject
	tellsPartCopy                  // UploadPartCopy
	tellsWhole                     // CompleteMultipartUpload
	tellsDeleted                   // DeleteObject
	tellsSummary                   // GetObjectAttributes
	tellsBegun                     // CreateMultipartUpload
	tellsParts                     // ListParts
	tellsVersion                   // the tags of an object

	tellsEncryption = TellsObject | tellsStored | tellsPart | tellsCopy | tellsPartCopy | tellsWhole | tellsBegun
	tellsChecksum   = TellsObject | tellsStored | tellsPart
)

// ResponseHeader is a header of a backend's response that reaches clients.
type ResponseHeader struct {
	Wire string // AWS's spelling
	// With are the answers that have it, from S3's model
	// (docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html).
	With Told
	// Vital says that the response is of no use with another value: which bytes these
	// are, and how to read them. Without one that is fit to be told there is no response.
	Vital bool
}

// responseHeaders is the only list of what a backend may say to a client in
// headers. Its server name, deployment id, rate-limit state and CORS answers are
// not there (S3-RULES.md F2, F6).
var responseHeaders = map[string]*ResponseHeader{
	"accept-ranges":                       {Wire: "Accept-Ranges", With: TellsObject},
	"cache-control":                       {Wire: "Cache-Control", With: TellsObject},
	"content-disposition":                 {Wire: "Content-Disposition", With: TellsObject},
	"content-encoding":                    {Wire: "Content-Encoding", With: TellsObject, Vital: true},
	"content-language":                    {Wire: "Content-Language", With: TellsObject},
	"content-range":                       {Wire: "Content-Range", With: TellsObject, Vital: true},
	"content-type":                        {Wire: "Content-Type", With: TellsObject},
	"etag":                                {Wire: "ETag", With: TellsObject | tellsStored | tellsPart | tellsCopy | tellsWhole, Vital: true}, // MinIO's with the last two
	"expires":                             {Wire: "Expires", With: TellsObject},
	"last-modified":                       {Wire: "Last-Modified", With: TellsObject | tellsSummary},
	"x-amz-abort-date":                    {Wire: "x-amz-abort-date", With: tellsBegun | tellsParts},
	"x-amz-abort-rule-id":                 {Wire: "x-amz-abort-rule-id", With: tellsBegun | tellsParts},
	"x-amz-checksum-crc32":                {Wire: "x-amz-checksum-crc32", With: tellsChecksum},
	"x-amz-checksum-crc32c":               {Wire: "x-amz-checksum-crc32c", With: tellsChecksum},
	"x-amz-checksum-crc64nvme":            {Wire: "x-amz-checksum-crc64nvme", With: tellsChecksum},
	"x-amz-checksum-sha1":                 {Wire: "x-amz-checksum-sha1", With: tellsChecksum},
	"x-amz-checksum-sha256":               {Wire: "x-amz-checksum-sha256", With: tellsChecksum},
	"x-amz-checksum-type":                 {Wire: "x-amz-checksum-type", With: TellsObject | tellsStored | tellsBegun},
	"x-amz-checksum-algorithm":            {Wire: "x-amz-checksum-algorithm", With: tellsBegun},
	"x-amz-copy-source-version-id":        {Wire: "x-amz-copy-source-version-id", With: tellsCopy | tellsPartCopy},
	"x-amz-delete-marker":                 {Wire: "x-amz-delete-marker", With: TellsObject | tellsDeleted | tellsSummary},
	"x-amz-expiration":                    {Wire: "x-amz-expiration", With: TellsObject | tellsStored | tellsCopy | tellsWhole},
	"x-amz-missing-meta":                  {Wire: "x-amz-missing-meta", With: TellsObject},
	"x-amz-mp-parts-count":                {Wire: "x-amz-mp-parts-count", With: TellsObject},
	"x-amz-object-lock-legal-hold":        {Wire: "x-amz-object-lock-legal-hold", With: TellsObject},
	"x-amz-object-lock-mode":              {Wire: "x-amz-object-lock-mode", With: TellsObject},
	"x-amz-object-lock-retain-until-date": {Wire: "x-amz-object-lock-retain-until-date", With: TellsObject},
	"x-amz-storage-class":                 {Wire: "x-amz-storage-class", With: TellsObject},
	"x-amz-tagging-count":                 {Wire: "x-amz-tagging-count", With: TellsObject},
	"x-amz-version-id": {Wire: "x-amz-version-id", Vital: true,
		With: TellsObject | tellsStored | tellsCopy | tellsWhole | tellsDeleted | tellsSummary | tellsVersion},
	"x-amz-server-side-encryption":                    {Wire: "x-amz-server-side-encryption", With: tellsEncryption},
	"x-amz-server-side-encryption-customer-algorithm": {Wire: "x-amz-server-side-encryption-customer-algorithm", With: tellsEncryption &^ tellsWhole},
	"x-amz-server-side-encryption-customer-key-md5":   {Wire: "x-amz-server-side-encryption-customer-key-MD5", With: tellsEncryption &^ tellsWhole},
}

// Tells returns the row of a backend's header by its lower-case name, when it
// may go with a response of the operation; nil: it may not.
func (o *Operation) Tells(lower []byte) *ResponseHeader {
	if h := responseHeaders[string(lower)]; h != nil && h.With&o.Told != 0 {
		return h
	}
	return nil
}
