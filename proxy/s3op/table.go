package s3op

import (
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

const (
	classA    = usage.ClassA
	classB    = usage.ClassB
	classFree = usage.ClassFree

	reads   = Conditions | Range | IfRange | ChecksumMode | CustomerKey
	objects = Content | Metadata | Storage | lock | CustomerKey
)

var responseOverrides = []string{
	"response-cache-control", "response-content-disposition", "response-content-encoding",
	"response-content-language", "response-content-type", "response-expires",
}

// Operations is the table, in the order of the compatibility page. It is
// filled once and never changed.
var Operations = []*Operation{
	// Service
	{Name: "ListBuckets", Method: "GET", Level: Service, Permission: tenancy.List, Class: classA, Action: Local, Response: XML,
		Params: []string{"prefix", "max-buckets", "continuation-token", "bucket-region"}, Idempotent: true},

	// Buckets
	{Name: "CreateBucket", Method: "PUT", Level: Bucket, MakesBucket: true, Permission: tenancy.Manage, Class: classA, Action: Forward, Body: Document, Headers: newBucket | MD5 | Checksums,
		Note: "`x-amz-object-ownership` only BucketOwnerEnforced"},
	{Name: "HeadBucket", Method: "HEAD", Level: Bucket, Class: classB, Keys: NoKeys, Action: Local, Idempotent: true},
	{Name: "DeleteBucket", Method: "DELETE", Level: Bucket, Empties: true, Permission: tenancy.Manage, Class: classFree, Action: Forward},
	{Name: "GetBucketLocation", Method: "GET", Level: Bucket, Keys: NoKeys, Selector: "location", Class: classB, Action: Local, Response: XML, Idempotent: true},
	{Name: "ListObjects", Method: "GET", Level: Bucket, Keys: UnderPrefix, meantFor: ofListObjectsV2, Permission: tenancy.List, Class: classA, Action: Forward, Response: XML, Idempotent: true, Anonymous: true,
		Params: []string{"prefix", "delimiter", "marker", "max-keys", "encoding-type"}},
	{Name: "ListObjectsV2", Method: "GET", Level: Bucket, Keys: UnderPrefix, meantFor: ofListObjects, Selector: "list-type", Permission: tenancy.List, Class: classA, Action: Forward, Response: XML, Idempotent: true, Anonymous: true,
		Params: []string{"prefix", "delimiter", "start-after", "continuation-token", "max-keys", "encoding-type", "fetch-owner"}},
	{Name: "ListObjectVersions", Method: "GET", Level: Bucket, Keys: UnderPrefix, Selector: "versions", Permission: tenancy.List, Class: classA, Action: Forward, Response: XML, Idempotent: true,
		Params: []string{"prefix", "delimiter", "key-marker", "version-id-marker", "max-keys", "encoding-type"}},
	{Name: "ListMultipartUploads", Method: "GET", Level: Bucket, Keys: UnderPrefix, Selector: "uploads", Permission: tenancy.List, Class: classA, Action: Forward, Response: XML, Idempotent: true,
		Params: []string{"prefix", "delimiter", "key-marker", "upload-id-marker", "max-uploads", "encoding-type"}},
	{Name: "DeleteObjects", Method: "POST", Level: Bucket, Keys: InBody, Empties: true, NeedsDigest: true, LockDenies: true, Selector: "delete", Permission: tenancy.Delete, Class: classFree, Action: Forward, Body: Document, Response: XML, Headers: Bypass | MD5 | Checksums},
	{Name: "PostObject", Method: "POST", Level: Bucket, Keys: InBody, Permission: tenancy.Write, Class: classA, Action: Forward, Told: tellsStored, Creates: true, Body: Form, Response: XML, Headers: Content,
		Note: "a browser's form; becomes a PutObject"},

	{Name: "GetBucketVersioning", Method: "GET", Level: Bucket, Selector: "versioning", Permission: tenancy.Read, Class: classB, Action: Forward, Response: XML, Idempotent: true},
	{Name: "PutBucketVersioning", Method: "PUT", Level: Bucket, Selector: "versioning", Permission: tenancy.Manage, Class: classA, Action: Forward, Body: Document, Headers: MD5 | Checksums},
	{Name: "GetBucketLifecycleConfiguration", Method: "GET", Level: Bucket, Selector: "lifecycle", Permission: tenancy.Read, Class: classB, Action: Forward, Response: XML, Idempotent: true},
	{Name: "PutBucketLifecycleConfiguration", Method: "PUT", Level: Bucket, Selector: "lifecycle", Permission: tenancy.Manage, Class: classA, Action: Forward, Body: Document, Headers: MD5 | Checksums | lifecycleDefault,
		Note: "expiration rules, and AbortIncompleteMultipartUpload, which the gateway keeps and a worker does; transitions and ObjectSizeGreaterThan 0 are refused"},
	{Name: "DeleteBucketLifecycle", Method: "DELETE", Level: Bucket, Selector: "lifecycle", Permission: tenancy.Manage, Class: classFree, Action: Forward},
	{Name: "GetBucketTagging", Method: "GET", Level: Bucket, Selector: "tagging", Permission: tenancy.Read, Class: classB, Action: Forward, Response: XML, Idempotent: true},
	{Name: "PutBucketTagging", Method: "PUT", Level: Bucket, Selector: "tagging", Permission: tenancy.Manage, Class: classA, Action: Forward, Body: Document, Headers: MD5 | Checksums},
	{Name: "DeleteBucketTagging", Method: "DELETE", Level: Bucket, Selector: "tagging", Permission: tenancy.Manage, Class: classFree, Action: Forward},
	{Name: "GetBucketPolicy", Method: "GET", Level: Bucket, Selector: "policy", Permission: tenancy.Read, Class: classB, Action: Forward, Response: JSON, Idempotent: true},
	{Name: "PutBucketPolicy", Method: "PUT", Level: Bucket, Selector: "policy", Permission: tenancy.Manage, Class: classA, Action: Forward, Body: Document, Headers: MD5 | Checksums | Policy,
		Note: "only Allow, everyone, read and list actions"},
	{Name: "DeleteBucketPolicy", Method: "DELETE", Level: Bucket, Selector: "policy", Permission: tenancy.Manage, Class: classFree, Action: Forward},
	{Name: "GetBucketPolicyStatus", Method: "GET", Level: Bucket, Selector: "policyStatus", Permission: tenancy.Read, Class: classB, Action: Forward, Response: XML, Idempotent: true},
	{Name: "GetObjectLockConfiguration", Method: "GET", Level: Bucket, Selector: "object-lock", Permission: tenancy.Read, Class: classB, Action: Forward, Response: XML, Idempotent: true},
	{Name: "PutObjectLockConfiguration", Method: "PUT", Level: Bucket, Selector: "object-lock", Permission: tenancy.Manage, Class: classA, Action: Forward, Body: Document, Headers: MD5 | Checksums},
	{Name: "GetBucketEncryption", Method: "GET", Level: Bucket, Selector: "encryption", Permission: tenancy.Read, Class: classB, Action: Forward, Response: XML, Idempotent: true},
	{Name: "PutBucketEncryption", Method: "PUT", Level: Bucket, Selector: "encryption", Permission: tenancy.Manage, Class: classA, Action: Forward, Body: Document, Headers: MD5 | Checksums,
		Note: "AES256 only"},
	{Name: "DeleteBucketEncryption", Method: "DELETE", Level: Bucket, Selector: "encryption", Permission: tenancy.Manage, Class: classFree, Action: Forward},
	{Name: "GetBucketLogging", Method: "GET", Level: Bucket, Selector: "logging", Permission: tenancy.Read, Class: classB, Action: Local, Response: XML, Idempotent: true},
	{Name: "PutBucketLogging", Method: "PUT", Level: Bucket, Selector: "logging", Permission: tenancy.Manage, Class: classA, Action: Local, Body: Document, Headers: MD5 | Checksums,
		Note: "the target is a bucket of the account without a default retention; TargetGrants are refused"},

	// Answered here with what is true of every bucket, since tools read them before they write.
	{Name: "GetBucketAcl", Method: "GET", Level: Bucket, Selector: "acl", Permission: tenancy.Read, Class: classB, Action: Local, Response: XML, Idempotent: true, Note: "always private"},
	{Name: "PutBucketAcl", Method: "PUT", Level: Bucket, Selector: "acl", Permission: tenancy.Manage, Class: classA, Action: Local, Body: Document, Headers: MD5 | Checksums, Note: "only `x-amz-acl: private`"},
	{Name: "GetBucketCors", Method: "GET", Level: Bucket, Selector: "cors", Permission: tenancy.Read, Class: classB, Action: Local, Idempotent: true, Note: "always NoSuchCORSConfiguration"},
	{Name: "GetBucketWebsite", Method: "GET", Level: Bucket, Selector: "website", Permission: tenancy.Read, Class: classB, Action: Local, Idempotent: true, Note: "always NoSuchWebsiteConfiguration"},
	{Name: "GetBucketNotificationConfiguration", Method: "GET", Level: Bucket, Selector: "notification", Permission: tenancy.Read, Class: classB, Action: Local, Response: XML, Idempotent: true, Note: "always empty"},
	{Name: "GetBucketReplication", Method: "GET", Level: Bucket, Selector: "replication", Permission: tenancy.Read, Class: classB, Action: Local, Idempotent: true, Note: "always ReplicationConfigurationNotFoundError"},
	{Name: "GetBucketAccelerateConfiguration", Method: "GET", Level: Bucket, Selector: "accelerate", Permission: tenancy.Read, Class: classB, Action: Local, Response: XML, Idempotent: true, Note: "always off"},
	{Name: "GetBucketRequestPayment", Method: "GET", Level: Bucket, Selector: "requestPayment", Permission: tenancy.Read, Class: classB, Action: Local, Response: XML, Idempotent: true, Note: "always BucketOwner"},
	{Name: "GetBucketOwnershipControls", Method: "GET", Level: Bucket, Selector: "ownershipControls", Permission: tenancy.Read, Class: classB, Action: Local, Response: XML, Idempotent: true, Note: "always BucketOwnerEnforced"},

	// Objects
	{Name: "GetObject", Method: "GET", Level: Object, Permission: tenancy.Read, Class: classB, Action: Forward, Told: TellsObject, Response: Bytes, Headers: reads, Idempotent: true, Anonymous: true,
		Params: append([]string{"versionId", "partNumber"}, responseOverrides...)},
	{Name: "HeadObject", Method: "HEAD", Level: Object, Permission: tenancy.Read, Class: classB, Action: Forward, Told: TellsObject, Headers: reads, Idempotent: true, Anonymous: true,
		Params: append([]string{"versionId", "partNumber"}, responseOverrides...)},
	{Name: "PutObject", Method: "PUT", Level: Object, Permission: tenancy.Write, Class: classA, Action: Forward, Told: tellsStored, Creates: true, Body: Stream, Headers: objects | MD5 | Checksums | ChecksumChoice | writeConditions},
	{Name: "CopyObject", Method: "PUT", Level: Object, CopySource: true, Permission: tenancy.Write, Class: classA, Action: Forward, Told: tellsCopy, Creates: true, Response: XML,
		Headers: objects | CopyFrom | Directives | ChecksumChoice | writeConditions},
	{Name: "DeleteObject", Method: "DELETE", Level: Object, Empties: true, LockDenies: true, Permission: tenancy.Delete, Class: classFree, Action: Forward, Told: tellsDeleted, Headers: Bypass, Params: []string{"versionId"}},
	{Name: "GetObjectAttributes", Method: "GET", Level: Object, Selector: "attributes", Permission: tenancy.Read, Class: classB, Action: Forward, Told: tellsSummary, Response: XML, Headers: Attributes | CustomerKey, Idempotent: true,
		Params: []string{"versionId"}},

	{Name: "CreateMultipartUpload", Method: "POST", Level: Object, Selector: "uploads", Permission: tenancy.Write, Class: classA, Action: Forward, Told: tellsBegun, Creates: true, Response: XML, Headers: objects | ChecksumChoice},
	{Name: "UploadPart", Method: "PUT", Level: Object, Selector: "uploadId", Permission: tenancy.Write, Class: classA, Action: Forward, Told: tellsPart, Body: Stream, Headers: MD5 | Checksums | ChecksumChoice | CustomerKey,
		Params: []string{"partNumber"}},
	{Name: "UploadPartCopy", Method: "PUT", Level: Object, Selector: "uploadId", CopySource: true, Permission: tenancy.Write, Class: classA, Action: Forward, Told: tellsPartCopy, Response: XML, Headers: CopyFrom | CopyRange | CustomerKey,
		Params: []string{"partNumber"}},
	{Name: "CompleteMultipartUpload", Method: "POST", Level: Object, WholeObjectDigests: true, Selector: "uploadId", Permission: tenancy.Write, Class: classA, Action: Forward, Told: tellsWhole, Creates: true, Body: Document, Response: XML,
		Headers: Checksums | CustomerKey | ObjectSize | writeConditions},
	{Name: "AbortMultipartUpload", Method: "DELETE", Level: Object, Selector: "uploadId", Permission: tenancy.Write, Class: classFree, Action: Forward},
	{Name: "ListParts", Method: "GET", Level: Object, Selector: "uploadId", Permission: tenancy.List, Class: classA, Action: Forward, Told: tellsParts, Response: XML, Headers: CustomerKey, Idempotent: true,
		Params: []string{"max-parts", "part-number-marker", "encoding-type"}},

	{Name: "GetObjectTagging", Method: "GET", Level: Object, Selector: "tagging", Permission: tenancy.Read, Class: classB, Action: Forward, Told: tellsVersion, Response: XML, Idempotent: true, Params: []string{"versionId"}},
	{Name: "PutObjectTagging", Method: "PUT", Level: Object, Selector: "tagging", Permission: tenancy.Write, Class: classA, Action: Forward, Told: tellsVersion, Body: Document, Headers: MD5 | Checksums, Params: []string{"versionId"}},
	{Name: "DeleteObjectTagging", Method: "DELETE", Level: Object, Selector: "tagging", Permission: tenancy.Write, Class: classFree, Action: Forward, Told: tellsVersion, Params: []string{"versionId"}},
	{Name: "GetObjectRetention", Method: "GET", Level: Object, Selector: "retention", Permission: tenancy.Read, Class: classB, Action: Forward, Response: XML, Idempotent: true, Params: []string{"versionId"}},
	{Name: "PutObjectRetention", Method: "PUT", Level: Object, LockDenies: true, Selector: "retention", Permission: tenancy.Write, Class: classA, Action: Forward, Body: Document, Headers: MD5 | Checksums | Bypass, Params: []string{"versionId"}},
	{Name: "GetObjectLegalHold", Method: "GET", Level: Object, Selector: "legal-hold", Permission: tenancy.Read, Class: classB, Action: Forward, Response: XML, Idempotent: true, Params: []string{"versionId"}},
	{Name: "PutObjectLegalHold", Method: "PUT", Level: Object, LockDenies: true, Selector: "legal-hold", Permission: tenancy.Write, Class: classA, Action: Forward, Body: Document, Headers: MD5 | Checksums, Params: []string{"versionId"}},
	{Name: "GetObjectAcl", Method: "GET", Level: Object, Selector: "acl", Permission: tenancy.Read, Class: classB, Action: Local, Response: XML, Idempotent: true, Params: []string{"versionId"}, Note: "always private"},
	{Name: "PutObjectAcl", Method: "PUT", Level: Object, Selector: "acl", Permission: tenancy.Write, Class: classA, Action: Local, Body: Document, Headers: MD5 | Checksums, Params: []string{"versionId"}, Note: "only `x-amz-acl: private`"},
}

// refused are the sub-resources that S3 has and this gateway does not, on any
// method not listed above, and the parameters by which MinIO finds routes of its
// own. Each is refused with its own sentence, with and without a value. Another
// name, in neither table, asks for nothing on GET and HEAD and is refused on
// everything that changes something.
var refused = []struct{ selector, sentence string }{
	{"accelerate", "Transfer acceleration is not supported."},
	{"acl", sentenceACL},
	{"analytics", "Bucket analytics are not supported."},
	{"abac", "Attribute-based access control is not supported."},
	{"annotation", "Annotations are not supported."},
	{"cors", "Per-bucket CORS rules are not supported yet."},
	{"encryption", "Encryption cannot be changed after an object was written; copy the object."},
	{"events", "Event streams are not supported."},
	{"intelligent-tiering", "Intelligent tiering is not supported."},
	{"inventory", "Inventories are not supported; list the bucket instead."},
	{"lambdaArn", "Object Lambda is not supported."},
	{"logging", "Logging is put off by PutBucketLogging with an empty BucketLoggingStatus."},
	{"metadata", "Listing user metadata is not supported."},
	{"metadataAnnotationTable", "Metadata tables are not supported."},
	{"metadataConfiguration", "Metadata tables are not supported."},
	{"metadataInventoryTable", "Metadata tables are not supported."},
	{"metadataJournalTable", "Metadata tables are not supported."},
	{"metadataTable", "Metadata tables are not supported."},
	{"metrics", "Bucket metrics configurations are not supported."},
	{"notification", "Bucket notifications are not supported."},
	{"ownershipControls", "Object ownership is always BucketOwnerEnforced."},
	{"publicAccessBlock", "Public access blocks are not supported; without a bucket policy nothing is public."},
	{"renameObject", "Renaming is not supported; copy the object and delete the old one."},
	{"replication", "Bucket replication is not supported."},
	{"replication-check", "Bucket replication is not supported."},
	{"replication-metrics", "Bucket replication is not supported."},
	{"replication-reset", "Bucket replication is not supported."},
	{"replication-reset-status", "Bucket replication is not supported."},
	{"requestPayment", "Requester pays is not supported."},
	{"restore", "There are no archive classes to restore from."},
	{"select", "S3 Select is not supported; download the object instead."},
	{"select-type", "S3 Select is not supported; download the object instead."},
	{"session", "Directory buckets are not supported."},
	{"torrent", "Torrents are not supported."},
	{"website", "Website hosting is not supported."},
}
