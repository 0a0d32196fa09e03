package s3xml

import (
	"encoding/xml"
	"fmt"
	"strconv"
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
	Delimiter          string
	Prefix             string
	EncodingType       string
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
	ChecksumAlgorithm string
	ChecksumType      string
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
	dst = append(append(dst, xml.Header...), `<ListMultipartUploadsResult xmlns="`+namespace+`">`...)
	dst = appendElement(dst, "Bucket", u.Bucket)
	dst = appendKeyElement(dst, "KeyMarker", u.KeyMarker)
	dst = appendElement(dst, "UploadIdMarker", u.UploadIDMarker)
	dst = appendKeyElement(dst, "NextKeyMarker", u.NextKeyMarker)
	dst = appendElement(dst, "NextUploadIdMarker", u.NextUploadIDMarker)
	if u.Delimiter != "" {
		dst = appendKeyElement(dst, "Delimiter", u.Delimiter)
	}
	dst = appendKeyElement(dst, "Prefix", u.Prefix)
	dst = appendGiven(dst, "EncodingType", u.EncodingType)
	dst = appendElement(dst, "MaxUploads", strconv.FormatInt(u.MaxUploads, 10))
	dst = appendElement(dst, "IsTruncated", strconv.FormatBool(u.IsTruncated))
	for i := range u.Uploads {
		dst = u.Uploads[i].append(dst)
	}
	for _, p := range u.CommonPrefixes {
		dst = append(appendKeyElement(append(dst, "<CommonPrefixes>"...), "Prefix", p.Prefix), "</CommonPrefixes>"...)
	}
	return append(dst, "</ListMultipartUploadsResult>"...)
}

func (u *Upload) append(dst []byte) []byte {
	dst = append(dst, "<Upload>"...)
	dst = appendKeyElement(dst, "Key", u.Key)
	dst = appendElement(dst, "UploadId", u.UploadID)
	dst = u.Initiator.append(dst, "Initiator")
	dst = u.Owner.append(dst, "Owner")
	dst = appendElement(dst, "StorageClass", u.StorageClass)
	dst = appendElement(dst, "Initiated", u.Initiated)
	dst = appendGiven(dst, "ChecksumAlgorithm", u.ChecksumAlgorithm)
	dst = appendGiven(dst, "ChecksumType", u.ChecksumType)
	return append(dst, "</Upload>"...)
}

func (p *Person) append(dst []byte, name string) []byte {
	dst = append(append(append(dst, '<'), name...), '>')
	dst = appendElement(dst, "ID", p.ID)
	dst = appendElement(dst, "DisplayName", p.DisplayName)
	return append(append(append(dst, "</"...), name...), '>')
}

// appendKeyElement is appendElement for a text that is a key, or made of keys.
func appendKeyElement(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, '<'), name...), '>')
	dst = appendKeyText(dst, value)
	return append(append(append(dst, "</"...), name...), '>')
}

// appendGiven is appendElement for what need not be there.
func appendGiven(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendElement(dst, name, value)
}
