package s3xml

import (
	"encoding/xml"
	"fmt"
)

// Delete is the document of DeleteObjects.
type Delete struct {
	Objects []DeleteObject
	Quiet   bool
}

// DeleteObject is one entry. Conditional entries are not supported by the
// backend, which would delete in spite of a condition that does not hold
// (S3-RULES.md E5).
type DeleteObject struct {
	Key, VersionID string
	Versioned      bool // there is a <VersionId>, which may be empty
	Conditional    bool
}

// maxDelete is S3's bound on the entries of a batch.
const maxDelete = 1000

// ParseDelete reads a Delete document of 1 to 1000 entries.
func ParseDelete(doc []byte) (*Delete, error) {
	var in struct {
		Object []struct {
			Key              *string
			VersionID        *string `xml:"VersionId"`
			ETag             *string `xml:"ETag"`
			LastModifiedTime *string
			Size             *string
		}
		Quiet bool
	}
	if _, err := decode(doc, "Delete", &in); err != nil {
		return nil, err
	}
	if len(in.Object) == 0 || len(in.Object) > maxDelete {
		return nil, malformed(fmt.Sprintf("A batch deletes 1 to %d objects.", maxDelete))
	}
	d := &Delete{Quiet: in.Quiet, Objects: make([]DeleteObject, 0, len(in.Object))}
	for _, o := range in.Object {
		if o.Key == nil {
			return nil, malformed("An <Object> has no <Key>.")
		}
		one := DeleteObject{
			Key: *o.Key, Versioned: o.VersionID != nil,
			Conditional: o.ETag != nil || o.LastModifiedTime != nil || o.Size != nil,
		}
		if one.Versioned {
			one.VersionID = *o.VersionID
		}
		d.Objects = append(d.Objects, one)
	}
	return d, nil
}

// AppendDelete appends the document for the backend.
func AppendDelete(dst []byte, d *Delete) []byte {
	dst = append(dst, `<Delete xmlns="`+namespace+`">`...)
	for _, o := range d.Objects {
		dst = append(dst, "<Object>"...)
		dst = appendElement(dst, "Key", o.Key)
		if o.VersionID != "" {
			dst = appendElement(dst, "VersionId", o.VersionID)
		}
		dst = append(dst, "</Object>"...)
	}
	if d.Quiet {
		dst = append(dst, "<Quiet>true</Quiet>"...)
	}
	return append(dst, "</Delete>"...)
}

// DeleteResult is the response to DeleteObjects.
type DeleteResult struct {
	XMLName xml.Name      `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
	Deleted []Deleted     `xml:"Deleted"`
	Errors  []DeleteError `xml:"Error"`
}

// Deleted is an entry that was deleted.
type Deleted struct {
	DeleteMarker          bool   `xml:",omitempty"`
	DeleteMarkerVersionID string `xml:"DeleteMarkerVersionId,omitempty"`
	Key                   string
	VersionID             string `xml:"VersionId,omitempty"`
}

// DeleteError is an entry that was not.
type DeleteError struct {
	Key       string
	VersionID string `xml:"VersionId,omitempty"`
	Code      string
	Message   string
}

// ParseDeleteResult reads the backend's response. An error document in its place
// is failed: nothing is known to be deleted.
func ParseDeleteResult(doc []byte) (r *DeleteResult, failed *ErrorDocument, err error) {
	var in struct {
		XMLName xml.Name
		Deleted []Deleted     `xml:"Deleted"`
		Errors  []DeleteError `xml:"Error"`
	}
	if err := xml.Unmarshal(doc, &in); err != nil {
		return nil, nil, fmt.Errorf("s3xml: delete result: %w", err)
	}
	switch in.XMLName.Local {
	case "DeleteResult":
		return &DeleteResult{Deleted: in.Deleted, Errors: in.Errors}, nil, nil
	case "Error":
		failed, err = ParseError(doc)
		return nil, failed, err
	}
	return nil, nil, ErrDocument
}

// AppendDeleteResult appends the response for the client.
func AppendDeleteResult(dst []byte, r *DeleteResult) []byte {
	return appendDocument(dst, r)
}

// appendDocument appends a document made here. Its types cannot fail to encode.
func appendDocument(dst []byte, v any) []byte {
	out, err := xml.Marshal(v)
	if err != nil {
		panic("s3xml: " + err.Error())
	}
	return append(append(dst, xml.Header...), out...)
}
