package s3xml

import (
	"encoding/xml"
	"strconv"
)

// Uploads is the response to ListMultipartUploads
// (docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html). It
// is built anew, since each id belongs to the key beside it.
type Uploads struct {
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string
	NextKeyMarker      string
	NextUploadIDMarker string
	Delimiter          string
	Prefix             string
	EncodingType       string
	MaxUploads         int64
	IsTruncated        bool
	Uploads            []Upload
	CommonPrefixes     []string // each stands for the keys that begin with it
}

// Upload is one that was begun and neither completed nor aborted.
type Upload struct {
	Key               string
	UploadID          string
	StorageClass      string
	Initiated         string
	ChecksumAlgorithm string
	ChecksumType      string
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
		u.CommonPrefixes[i] = f(u.CommonPrefixes[i])
	}
}

// Append appends the response for the client, whose account begins and owns all
// of its uploads: the backend knows one user for all (S3-RULES.md F3).
func (u *Uploads) Append(dst []byte, accountID, accountName string) []byte {
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
		dst = u.Uploads[i].append(dst, accountID, accountName)
	}
	for _, p := range u.CommonPrefixes {
		dst = append(appendKeyElement(append(dst, "<CommonPrefixes>"...), "Prefix", p), "</CommonPrefixes>"...)
	}
	return append(dst, "</ListMultipartUploadsResult>"...)
}

func (u *Upload) append(dst []byte, accountID, accountName string) []byte {
	dst = append(dst, "<Upload>"...)
	dst = appendKeyElement(dst, "Key", u.Key)
	dst = appendElement(dst, "UploadId", u.UploadID)
	for _, person := range []string{"Initiator", "Owner"} {
		dst = append(append(append(dst, '<'), person...), '>')
		dst = appendElement(dst, "ID", accountID)
		dst = appendElement(dst, "DisplayName", accountName)
		dst = append(append(append(dst, "</"...), person...), '>')
	}
	dst = appendElement(dst, "StorageClass", u.StorageClass)
	dst = appendElement(dst, "Initiated", u.Initiated)
	dst = appendGiven(dst, "ChecksumAlgorithm", u.ChecksumAlgorithm)
	dst = appendGiven(dst, "ChecksumType", u.ChecksumType)
	return append(dst, "</Upload>"...)
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
