package s3xml

import (
	"encoding/xml"
	"fmt"
)

// Uploads is the answer to ListMultipartUploads
// (docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html). It
// is read whole and built anew, since each id belongs to the key beside it.
type Uploads struct {
	XMLName            xml.Name
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string
	NextUploadIDMarker string `xml:"NextUploadIdMarker"`
	Delimiter          string `xml:",omitempty"`
	Prefix             string
	EncodingType       string `xml:",omitempty"`
	MaxUploads         int64
	IsTruncated        bool
	Uploads            []Upload       `xml:"Upload"`
	CommonPrefixes     []CommonPrefix `xml:"CommonPrefixes"`
}

// Upload is one that was begun and neither completed nor aborted.
type Upload struct {
	Key               string
	UploadID          string `xml:"UploadId"`
	Initiator, Owner  Person
	StorageClass      string
	Initiated         string
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

// Person is who began an upload, or owns it.
type Person struct{ ID, DisplayName string }

// CommonPrefix stands for the keys that begin with it.
type CommonPrefix struct{ Prefix string }

// ParseUploads reads the backend's answer.
func ParseUploads(doc []byte) (*Uploads, error) {
	u := &Uploads{}
	if err := xml.Unmarshal(doc, u); err != nil {
		return nil, fmt.Errorf("s3xml: list of uploads: %w", err)
	}
	if u.XMLName.Local != "ListMultipartUploadsResult" {
		return nil, ErrDocument
	}
	return u, nil
}

// EachName replaces every key, prefix, marker and delimiter, which are what
// encoding-type encodes.
func (u *Uploads) EachName(f func(string) string) {
	for _, s := range []*string{&u.KeyMarker, &u.NextKeyMarker, &u.Delimiter, &u.Prefix} {
		*s = f(*s)
	}
	for i := range u.Uploads {
		u.Uploads[i].Key = f(u.Uploads[i].Key)
	}
	for i := range u.CommonPrefixes {
		u.CommonPrefixes[i].Prefix = f(u.CommonPrefixes[i].Prefix)
	}
}

// Append appends the answer for the client.
func (u *Uploads) Append(dst []byte) []byte {
	u.XMLName = xml.Name{Space: namespace, Local: "ListMultipartUploadsResult"}
	return appendDocument(dst, u)
}
