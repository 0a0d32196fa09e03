package s3xml

// Response is what may be in the document of one operation's answer. What is not
// in it does not reach a client, whatever a backend writes: MinIO adds elements
// of its own to some (cmd/api-response.go), and one that is compromised, or no S3
// server at all, could write anything. The elements are those of S3's model; a
// test holds them against an SDK's.
type Response struct {
	roots []*element // one each; MinIO does not write every name as S3 does
}

// element is one that is known, with what may be in it.
type element struct {
	name   string
	text   text
	inside []*element // nil: text alone
}

// text is what becomes of an element's text.
type text uint8

const (
	copied       text = iota
	bucketName        // the following: a value in its place, known before it is read
	clientsToken      // which the response repeats
	location
	ownerID
	ownerName
	sealed  // read whole, and Names.Seal is asked
	ownOrID // the client's own upload id, or else sealed
)

// value is what is put in place of the text of e, if anything is.
func (n *Names) value(e *element) (value string, replaced bool) {
	switch e.text {
	case bucketName:
		return n.Bucket, true
	case clientsToken:
		return n.Token, true
	case location:
		return n.Location, true
	case ownerID:
		return n.Owner, true
	case ownerName:
		return n.OwnerName, true
	case ownOrID:
		return n.UploadID, n.UploadID != ""
	}
	return "", false
}

func (e *element) sealed(n *Names) bool {
	return e.text == sealed || e.text == ownOrID && n.UploadID == ""
}

// child finds the element of that name, which is often the one at hint or the
// next: a list repeats its elements in their order.
func (e *element) child(name []byte, hint int) (at int, found bool) {
	for i := range e.inside {
		if at = hint + i; at >= len(e.inside) {
			at -= len(e.inside)
		}
		if string(name) == e.inside[at].name {
			return at, true
		}
	}
	return 0, false
}

func response(root *element) *Response { return &Response{[]*element{root}} }

// in is an element with others in it: *element, []*element, or names of
// elements whose text is copied.
func in(name string, inside ...any) *element {
	e := &element{name: name, inside: []*element{}}
	for _, what := range inside {
		switch what := what.(type) {
		case string:
			e.inside = append(e.inside, &element{name: what})
		case *element:
			e.inside = append(e.inside, what)
		case []*element:
			e.inside = append(e.inside, what...)
		}
	}
	return e
}

func as(t text, name string) *element { return &element{name: name, text: t} }

// person is the account itself: the backend knows one user for all (S3-RULES.md F3).
func person(name string) *element {
	return in(name, as(ownerID, "ID"), as(ownerName, "DisplayName"))
}

func texts(names ...string) []*element {
	e := in("")
	for _, name := range names {
		e.inside = append(e.inside, &element{name: name})
	}
	return e.inside
}

var (
	checksums      = texts("ChecksumCRC32", "ChecksumCRC32C", "ChecksumSHA1", "ChecksumSHA256", "ChecksumCRC64NVME")
	commonPrefixes = in("CommonPrefixes", "Prefix")
	contents       = in("Contents", "Key", "LastModified", "ETag", "Size", person("Owner"), "StorageClass", "ChecksumAlgorithm", "ChecksumType")
	tagging1       = in("Tagging", in("TagSet", in("Tag", "Key", "Value")))
)

// The answers, their elements in MinIO's order
// (docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html).
// Keys and prefixes are copied in all of them (S3-RULES.md F1, D14). Of what S3
// has, these lack what this gateway does not let anybody make: KMS keys, MFA
// delete, archives.
var (
	ListObjects = response(in("ListBucketResult", as(bucketName, "Name"), "Prefix", "Marker", as(sealed, "NextMarker"), "MaxKeys", "Delimiter", "IsTruncated",
		contents, commonPrefixes, "EncodingType"))
	ListObjectsV2 = response(in("ListBucketResult", as(bucketName, "Name"), "Prefix", "StartAfter", as(clientsToken, "ContinuationToken"),
		as(sealed, "NextContinuationToken"), "KeyCount", "MaxKeys", "Delimiter", "IsTruncated", contents, commonPrefixes, "EncodingType"))
	ListVersions = response(in("ListVersionsResult", as(bucketName, "Name"), "Prefix", "KeyMarker", as(sealed, "NextKeyMarker"), "NextVersionIdMarker", "VersionIdMarker",
		"MaxKeys", "Delimiter", "IsTruncated", commonPrefixes,
		in("Version", "Key", "LastModified", "ETag", "Size", person("Owner"), "StorageClass", "IsLatest", "VersionId", "ChecksumAlgorithm", "ChecksumType"),
		in("DeleteMarker", "Key", "LastModified", person("Owner"), "IsLatest", "VersionId"), "EncodingType"))
	ListParts = response(in("ListPartsResult", as(bucketName, "Bucket"), "Key", as(ownOrID, "UploadId"), person("Initiator"), person("Owner"), "StorageClass",
		"PartNumberMarker", "NextPartNumberMarker", "MaxParts", "IsTruncated", "ChecksumAlgorithm", "ChecksumType",
		in("Part", "PartNumber", "LastModified", "ETag", "Size", checksums)))

	CreateUpload   = response(in("InitiateMultipartUploadResult", as(bucketName, "Bucket"), "Key", as(sealed, "UploadId")))
	CompleteUpload = response(in("CompleteMultipartUploadResult", as(location, "Location"), as(bucketName, "Bucket"), "Key", "ETag", checksums, "ChecksumType"))
	CopyObject     = response(in("CopyObjectResult", "LastModified", "ETag", checksums, "ChecksumType"))
	CopyPart       = response(in("CopyPartResult", "LastModified", "ETag", checksums))

	// MinIO writes the root in its own way.
	Attributes = &Response{[]*element{attributes("GetObjectAttributesResponse"), attributes("getObjectAttributesResponse")}}

	GetVersioning = response(in("VersioningConfiguration", "Status"))
	GetTagging    = response(tagging1)
	GetObjectLock = response(in("ObjectLockConfiguration", "ObjectLockEnabled", in("Rule", in("DefaultRetention", "Mode", "Days", "Years"))))
	GetEncryption = response(in("ServerSideEncryptionConfiguration", in("Rule", in("ApplyServerSideEncryptionByDefault", "SSEAlgorithm"), "BucketKeyEnabled")))
	GetRetention  = response(in("Retention", "Mode", "RetainUntilDate"))
	GetLegalHold  = response(in("LegalHold", "Status"))
)

func attributes(root string) *element {
	return in(root, "ETag", in("Checksum", checksums, "ChecksumType"),
		in("ObjectParts", "IsTruncated", "MaxParts", "NextPartNumberMarker", "PartNumberMarker", in("Part", checksums, "PartNumber", "Size"), "PartsCount"),
		"StorageClass", "ObjectSize")
}
