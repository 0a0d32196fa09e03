package s3xml

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/s3err"
)

func malformed(message string) error { return s3err.New("MalformedXML", message) }

func unsupported(format string, args ...any) error {
	return s3err.New("NotImplemented", fmt.Sprintf(format, args...))
}

// ErrorDocument is S3's error document
// (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
type ErrorDocument struct {
	XMLName    xml.Name `xml:"Error"`
	Code       string
	Message    string
	Key        string `xml:",omitempty"`
	BucketName string `xml:",omitempty"`
	Resource   string `xml:",omitempty"`
	Region     string `xml:",omitempty"`
	RequestID  string `xml:"RequestId"`
	HostID     string `xml:"HostId"`
	s3err.Details
}

// ParseError reads an error document, which may have white space in front.
func ParseError(doc []byte) (*ErrorDocument, error) {
	e := &ErrorDocument{}
	if err := xml.Unmarshal(bytes.TrimSpace(doc), e); err != nil {
		return nil, fmt.Errorf("s3xml: error document: %w", err)
	}
	return e, nil
}

// AppendError appends an error document.
func AppendError(dst []byte, e *ErrorDocument) []byte {
	return appendErrorElement(append(dst, xml.Header...), e)
}

func appendErrorElement(dst []byte, e *ErrorDocument) []byte {
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
