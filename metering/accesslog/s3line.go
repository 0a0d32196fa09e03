package accesslog

import (
	"strconv"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/tenancy"
)

// appendS3Line appends the record as a line of S3's server access log
// (docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html): the fields
// in their order, "-" for what is absent.
func appendS3Line(dst []byte, r *Record, b *tenancy.LoggedBucket, region string) []byte {
	dst = append(append(dst, b.CanonicalID...), ' ')
	dst = append(append(dst, b.Name...), ' ')
	dst = r.Time.UTC().AppendFormat(dst, "[02/Jan/2006:15:04:05 -0700] ")
	if r.Remote.IsValid() {
		dst = append(r.Remote.AppendTo(dst), ' ')
	} else {
		dst = append(dst, "- "...)
	}
	dst = append(appendRequester(dst, r, b), ' ')
	dst = appendField(dst, r.RequestID, mostOther)
	dst = append(append(dst, RESTOperation(r.Operation, r.Method.String())...), ' ')
	dst = appendField(dst, r.Key, mostKey)
	dst = appendRequestURI(dst, r)
	dst = append(strconv.AppendInt(dst, int64(r.Status), 10), ' ')
	dst = appendField(dst, r.ErrorCode, mostOther)
	dst = appendNumber(dst, r.Egress, r.Egress > 0)
	dst = appendNumber(dst, r.ObjectSize, r.ObjectSize >= 0)
	dst = appendNumber(dst, r.Elapsed.Milliseconds(), true)
	dst = appendNumber(dst, r.Backend.Milliseconds(), r.Backend > 0)
	dst = append(appendQuoted(dst, r.Referer), ' ')
	dst = append(appendQuoted(dst, r.UserAgent), ' ')
	dst = appendField(dst, r.VersionID, mostOther)
	dst = appendField(dst, r.HostID, mostOther)
	dst = append(append(dst, signatureVersion(r.Auth)...), ' ')
	dst = appendField(dst, opensslName(r.Cipher), mostOther)
	dst = append(append(dst, authType(r.Auth)...), ' ')
	dst = appendField(dst, r.Host, mostHost)
	dst = appendField(dst, strings.Replace(r.TLS, "TLS ", "TLSv", 1), mostOther)
	// Access point ARN, aclRequired, source region.
	return append(append(append(dst, "- - "...), region...), '\n')
}

// appendRequester names an access key as S3 names a user of an account.
func appendRequester(dst []byte, r *Record, b *tenancy.LoggedBucket) []byte {
	if r.Requester == "" {
		return append(dst, '-')
	}
	dst = append(append(dst, "arn:aws:iam::"...), b.Account...)
	return append(append(dst, ":user/"...), r.AccessKey...)
}

func appendRequestURI(dst []byte, r *Record) []byte {
	if len(r.Method) == 0 || len(r.Target) == 0 {
		return append(dst, `"-" `...)
	}
	dst = appendBounded(append(dst, '"'), r.Method, mostOther, appendQuotable)
	dst = appendBounded(append(dst, ' '), r.Target, mostTarget, appendQuotable)
	dst = appendBounded(append(dst, ' '), r.Protocol, mostOther, appendQuotable)
	return append(dst, `" `...)
}

func appendNumber(dst []byte, n int64, known bool) []byte {
	if !known {
		return append(dst, "- "...)
	}
	return append(strconv.AppendInt(dst, n, 10), ' ')
}

// appendField appends a field that has no quotes: URL-encoded.
func appendField[T Text | string](dst []byte, s T, most int) []byte {
	if len(s) == 0 {
		return append(dst, "- "...)
	}
	return append(appendBounded(dst, s, most, appendBare[T]), ' ')
}

func appendQuoted(dst []byte, s Text) []byte {
	if len(s) == 0 {
		return append(dst, `"-"`...)
	}
	return append(appendBounded(append(dst, '"'), s, mostAgent, appendQuotable), '"')
}

func appendQuotable(dst []byte, s Text) []byte { return appendEncoded(dst, s, false) }

func appendBare[T Text | string](dst []byte, s T) []byte { return appendEncoded(dst, s, true) }

const upperHex = "0123456789ABCDEF"

// appendEncoded percent-encodes what would end a field or a line, so that the
// expressions that people read these logs with hold: quotes, control bytes and
// what is not ASCII; in a field without quotes spaces and percent signs too.
func appendEncoded[T Text | string](dst []byte, s T, bare bool) []byte {
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= 0x7f || c == '"' || bare && (c == ' ' || c == '%') {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

func signatureVersion(auth string) string {
	switch auth {
	case "header", "query", "form":
		return "SigV4"
	}
	return "-"
}

// authType has no word of S3's for a form: its fields are neither.
func authType(auth string) string {
	switch auth {
	case "header":
		return "AuthHeader"
	case "query":
		return "QueryString"
	}
	return "-"
}

// opensslName turns crypto/tls's name of a TLS 1.2 suite into the one that S3
// writes; those of TLS 1.3 have one name only.
func opensslName(suite string) string {
	exchange, bulk, ok := strings.Cut(strings.TrimPrefix(suite, "TLS_"), "_WITH_")
	if !ok {
		return suite
	}
	bulk = strings.NewReplacer("AES_", "AES", "CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", "_CBC", "", "_", "-").Replace(bulk)
	if exchange == "RSA" {
		return bulk
	}
	return strings.ReplaceAll(exchange, "_", "-") + "-" + bulk
}

// resources are what S3's logs call what an operation works on, behind
// "REST.<method>."; the key is the operation's name in the API.
var resources = map[string]string{
	"ListBuckets": "SERVICE", "CreateBucket": "BUCKET", "HeadBucket": "BUCKET", "DeleteBucket": "BUCKET", "ListObjects": "BUCKET", "ListObjectsV2": "BUCKET",
	"GetBucketLocation": "LOCATION", "ListObjectVersions": "BUCKETVERSIONS", "ListMultipartUploads": "UPLOADS", "DeleteObjects": "MULTI_OBJECT_DELETE", "PostObject": "BUCKET",
	"GetBucketVersioning": "VERSIONING", "PutBucketVersioning": "VERSIONING",
	"GetBucketLifecycleConfiguration": "LIFECYCLE", "PutBucketLifecycleConfiguration": "LIFECYCLE", "DeleteBucketLifecycle": "LIFECYCLE",
	"GetBucketTagging": "TAGGING", "PutBucketTagging": "TAGGING", "DeleteBucketTagging": "TAGGING",
	"GetBucketPolicy": "BUCKETPOLICY", "PutBucketPolicy": "BUCKETPOLICY", "DeleteBucketPolicy": "BUCKETPOLICY", "GetBucketPolicyStatus": "POLICY_STATUS",
	"GetObjectLockConfiguration": "OBJECT_LOCK", "PutObjectLockConfiguration": "OBJECT_LOCK",
	"GetBucketEncryption": "ENCRYPTION", "PutBucketEncryption": "ENCRYPTION", "DeleteBucketEncryption": "ENCRYPTION",
	"GetBucketLogging": "LOGGING_STATUS", "PutBucketLogging": "LOGGING_STATUS",
	"GetBucketAcl": "ACL", "PutBucketAcl": "ACL", "GetBucketCors": "CORS", "GetBucketWebsite": "WEBSITE", "GetBucketNotificationConfiguration": "NOTIFICATION",
	"GetBucketReplication": "REPLICATION", "GetBucketAccelerateConfiguration": "ACCELERATE", "GetBucketRequestPayment": "REQUEST_PAYMENT", "GetBucketOwnershipControls": "OWNERSHIP_CONTROLS",
	"GetObject": "OBJECT", "HeadObject": "OBJECT", "PutObject": "OBJECT", "DeleteObject": "OBJECT", "GetObjectAttributes": "OBJECT_ATTRIBUTES",
	"CreateMultipartUpload": "UPLOADS", "UploadPart": "PART", "CompleteMultipartUpload": "UPLOAD", "AbortMultipartUpload": "UPLOAD", "ListParts": "UPLOAD",
	"GetObjectTagging": "OBJECT_TAGGING", "PutObjectTagging": "OBJECT_TAGGING", "DeleteObjectTagging": "OBJECT_TAGGING",
	"GetObjectRetention": "OBJECT_RETENTION", "PutObjectRetention": "OBJECT_RETENTION", "GetObjectLegalHold": "OBJECT_LEGAL_HOLD", "PutObjectLegalHold": "OBJECT_LEGAL_HOLD",
	"GetObjectAcl": "ACL", "PutObjectAcl": "ACL",
}

// RESTOperation is an operation as S3's logs name it: REST.GET.OBJECT. What
// was no operation of the table has no resource.
func RESTOperation(operation, method string) string {
	switch operation {
	case "CopyObject":
		return "REST.COPY.OBJECT"
	case "UploadPartCopy":
		return "REST.COPY.PART"
	}
	resource, ok := resources[operation]
	if !ok {
		return "-"
	}
	return "REST." + method + "." + resource
}

// objectKey names the object that holds lines about a bucket: deterministic in
// what it is given, so that the same lines sent again go to the same place.
// day is the requests' for ByEventTime, at the time of delivery.
func objectKey(b *tenancy.LoggedBucket, region string, at, day time.Time, unique string) string {
	l := &b.Logging
	if l.Format != tenancy.ByEventTime && l.Format != tenancy.ByDeliveryTime {
		return l.Prefix + at.Format("2006-01-02-15-04-05-") + unique
	}
	if l.Format == tenancy.ByEventTime {
		at = day
	}
	return l.Prefix + b.Account + "/" + region + "/" + b.Name + "/" + at.Format("2006/01/02/2006-01-02-15-04-05-") + unique
}
