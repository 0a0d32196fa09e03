package s3xml

import (
	"encoding/xml"
	"time"
)

// timeLayout is how S3 writes times.
const timeLayout = "2006-01-02T15:04:05.000Z"

type owner struct {
	ID          string
	DisplayName string
}

// BucketEntry is one bucket of ListBuckets.
type BucketEntry struct {
	Name    string
	Created time.Time
}

// ListBuckets is the response to ListBuckets
// (docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html).
type ListBuckets struct {
	Owner, OwnerName  string
	Buckets           []BucketEntry
	Region            string
	Prefix            string
	ContinuationToken string // "" on the last page
}

// Append appends the document.
func (l *ListBuckets) Append(dst []byte) []byte {
	type bucket struct{ Name, CreationDate, BucketRegion string }
	doc := struct {
		XMLName           xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
		Owner             owner
		Buckets           struct{ Bucket []bucket }
		ContinuationToken string `xml:",omitempty"`
		Prefix            string `xml:",omitempty"`
	}{Owner: owner{l.Owner, l.OwnerName}, ContinuationToken: l.ContinuationToken, Prefix: l.Prefix}
	for _, b := range l.Buckets {
		doc.Buckets.Bucket = append(doc.Buckets.Bucket, bucket{b.Name, b.Created.UTC().Format(timeLayout), l.Region})
	}
	return appendDocument(dst, &doc)
}

// AppendLocation appends the response to GetBucketLocation; us-east-1 is empty.
func AppendLocation(dst []byte, region string) []byte {
	if region == "us-east-1" {
		region = ""
	}
	dst = append(append(dst, xml.Header...), `<LocationConstraint xmlns="`+namespace+`">`...)
	return append(appendText(dst, region), "</LocationConstraint>"...)
}

// AppendPrivateACL appends the access control list that everything here has.
func AppendPrivateACL(dst []byte, ownerID, ownerName string) []byte {
	dst = append(append(dst, xml.Header...), `<AccessControlPolicy xmlns="`+namespace+`">`...)
	dst = append(dst, "<Owner>"...)
	dst = appendElement(dst, "ID", ownerID)
	dst = appendElement(dst, "DisplayName", ownerName)
	dst = append(dst, `</Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">`...)
	dst = appendElement(dst, "ID", ownerID)
	dst = appendElement(dst, "DisplayName", ownerName)
	return append(dst, "</Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"...)
}

// AppendPolicyStatus appends the response to GetBucketPolicyStatus: a policy
// that was accepted lets everyone in.
func AppendPolicyStatus(dst []byte, public bool) []byte {
	dst = append(append(dst, xml.Header...), `<PolicyStatus xmlns="`+namespace+`">`...)
	text := "FALSE"
	if public {
		text = "TRUE"
	}
	return append(appendElement(dst, "IsPublic", text), "</PolicyStatus>"...)
}

// AppendPostResponse appends the 201 answer to a form upload.
func AppendPostResponse(dst []byte, location, bucket, key, etag string) []byte {
	dst = append(append(dst, xml.Header...), "<PostResponse>"...)
	dst = appendElement(dst, "Location", location)
	dst = appendElement(dst, "Bucket", bucket)
	dst = appendElement(dst, "Key", key)
	dst = appendElement(dst, "ETag", etag)
	return append(dst, "</PostResponse>"...)
}

// AppendEmpty appends a document that has nothing to say but its root, or one
// element with a text.
func AppendEmpty(dst []byte, root, element, text string) []byte {
	dst = append(append(dst, xml.Header...), "<"+root+` xmlns="`+namespace+`">`...)
	if element != "" {
		dst = appendElement(dst, element, text)
	}
	return append(dst, "</"+root+">"...)
}
