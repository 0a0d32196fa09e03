package s3xml

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// DocError is a request document that is refused. Code is S3's.
type DocError struct{ Code, Message string }

func (e *DocError) Error() string { return "s3xml: " + e.Code + ": " + e.Message }

func malformed(message string) error { return &DocError{"MalformedXML", message} }

func unsupported(format string, args ...any) error {
	return &DocError{"NotImplemented", fmt.Sprintf(format, args...)}
}

// Error is S3's error document
// (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
type Error struct {
	XMLName    xml.Name `xml:"Error"`
	Code       string
	Message    string
	Key        string `xml:",omitempty"`
	BucketName string `xml:",omitempty"`
	Resource   string `xml:",omitempty"`
	Region     string `xml:",omitempty"`
	RequestID  string `xml:"RequestId"`
	HostID     string `xml:"HostId"`
	About
}

// About is what S3 says of a code beside its sentence.
type About struct {
	Argument string `xml:"ArgumentName"` // of InvalidArgument
	Value    string `xml:"ArgumentValue"`
	HasValue bool   `xml:"-"` // an empty value is said too

	ActualObjectSize string // of InvalidRange
	RangeRequested   string
	ActualPartCount  string // of InvalidPartNumber
	PartRequested    string `xml:"PartNumberRequested"`

	UploadID         string `xml:"UploadId"` // of NoSuchUpload
	Method           string // of MethodNotAllowed
	ResourceType     string
	Condition        string // of PreconditionFailed
	ProposedSize     string // of EntityTooLarge and EntityTooSmall
	MaxSizeAllowed   string
	MinSizeAllowed   string
	ExpectedDigest   string // of BadDigest
	CalculatedDigest string
}

// ParseError reads an error document, which may have white space in front.
func ParseError(doc []byte) (*Error, error) {
	e := &Error{}
	if err := xml.Unmarshal(bytes.TrimSpace(doc), e); err != nil {
		return nil, fmt.Errorf("s3xml: error document: %w", err)
	}
	return e, nil
}

// AppendError appends an error document.
func AppendError(dst []byte, e *Error) []byte {
	return appendErrorElement(append(dst, xml.Header...), e)
}

func appendErrorElement(dst []byte, e *Error) []byte {
	dst = append(dst, "<Error>"...)
	if e.Code != "" {
		dst = appendElement(dst, "Code", e.Code)
	}
	if e.Message != "" {
		dst = append(appendSentence(append(dst, "<Message>"...), e.Message), "</Message>"...)
	}
	if e.Argument != "" {
		dst = appendElement(dst, "ArgumentName", e.Argument)
	}
	if e.HasValue {
		dst = appendElement(dst, "ArgumentValue", e.Value)
	}
	for _, f := range [...]struct{ name, value string }{
		{"RangeRequested", e.RangeRequested},
		{"ActualObjectSize", e.ActualObjectSize},
		{"PartNumberRequested", e.PartRequested},
		{"ActualPartCount", e.ActualPartCount},
		{"UploadId", e.UploadID},
		{"Method", e.Method},
		{"ResourceType", e.ResourceType},
		{"Condition", e.Condition},
		{"ProposedSize", e.ProposedSize},
		{"MaxSizeAllowed", e.MaxSizeAllowed},
		{"MinSizeAllowed", e.MinSizeAllowed},
		{"ExpectedDigest", e.ExpectedDigest},
		{"CalculatedDigest", e.CalculatedDigest},
		{"Key", e.Key},
		{"BucketName", e.BucketName},
		{"Resource", e.Resource},
		{"Region", e.Region},
		{"RequestId", e.RequestID},
		{"HostId", e.HostID},
	} {
		if f.value != "" {
			dst = appendElement(dst, f.name, f.value)
		}
	}
	return append(dst, "</Error>"...)
}

func appendElement(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, '<'), name...), '>')
	dst = appendText(dst, value)
	return append(append(append(dst, "</"...), name...), '>')
}

func appendText(dst []byte, s string) []byte {
	if plainText(s) {
		return append(dst, s...)
	}
	b := bytes.NewBuffer(dst)
	_ = xml.EscapeText(b, []byte(s)) // a Buffer does not fail
	return b.Bytes()
}

// appendSentence writes a message. Its quotes stay as they are, as in S3's answers:
// people and tests search for its words.
func appendSentence(dst []byte, s string) []byte {
	for i, part := range strings.Split(s, `"`) {
		if i > 0 {
			dst = append(dst, '"')
		}
		dst = appendText(dst, part)
	}
	return dst
}

// plainText reports whether s needs no escaping.
func plainText(s string) bool {
	for _, c := range []byte(s) {
		if c != ' ' && !nameBytes[c] {
			return false
		}
	}
	return true
}

// backendCodes are the codes that MinIO made up, in S3's terms (S3-RULES.md F4).
var backendCodes = map[string]struct{ code, message string }{
	"XMinioInvalidObjectName":        {"InvalidArgument", "The object key has characters or segments that are not allowed."},
	"XMinioInvalidResourceName":      {"InvalidArgument", "The object key has characters or segments that are not allowed."},
	"XMinioObjectExistsAsDirectory":  {"InvalidArgument", "An object of that name exists as a prefix of others."},
	"XMinioParentIsObject":           {"InvalidArgument", "A part of the key's path is an object already."},
	"XMinioStorageFull":              {"ServiceUnavailable", "The storage is full; contact support."},
	"XMinioServerNotInitialized":     {"ServiceUnavailable", ""},
	"XMinioAdminBucketQuotaExceeded": {"SlowDown", ""},
	"XMinioBackendDown":              {"ServiceUnavailable", ""},
	"SlowDownRead":                   {"SlowDown", ""},
	"SlowDownWrite":                  {"SlowDown", ""},
	"TooManyRequests":                {"SlowDown", ""},
	"Busy":                           {"SlowDown", ""},
	"XMinioServerTimedOut":           {"ServiceUnavailable", ""},
	// About the connection between gateway and backend, or about MinIO's own locks:
	// the client's connection is looked at here.
	"RequestTimeout":                {"SlowDown", ""},
	"ClientDisconnected":            {"ServiceUnavailable", ""},
	"NoSuchObjectLockConfiguration": {"NoSuchObjectLockConfiguration", ""},
	"InvalidBucketName":             {"NoSuchBucket", ""},
	"ObjectLocked":                  {"AccessDenied", "The object is protected by a retention period or a legal hold."},
	"XAmzContentChecksumMismatch":   {"XAmzContentChecksumMismatch", ""},
	"XMinioContentSHA256Mismatch":   {"XAmzContentSHA256Mismatch", ""},
	"PreconditionFailed":            {"PreconditionFailed", ""},
}

// MapCode maps a backend's error code. message is "" where the code's usual
// sentence does; ok is false for codes of MinIO's own that nobody knows, whose
// meaning must not get out.
func MapCode(code string) (mapped, message string, ok bool) {
	if m, found := backendCodes[code]; found {
		return m.code, m.message, true
	}
	if len(code) >= 6 && code[:6] == "XMinio" {
		return "", "", false
	}
	return code, "", true
}
