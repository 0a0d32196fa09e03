package s3xml

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/url"
)

// FirstKey reads a list of versions with encoded keys that has one entry at most,
// a version or a delete marker, and returns its key; "" is an empty list. failed is
// an error that came in its place.
func FirstKey(doc []byte) (key string, failed *ErrorDocument, err error) {
	if bytes.Contains(doc, []byte("<ListVersionsResult")) && bytes.HasSuffix(doc, []byte("</ListVersionsResult>")) && !bytes.Contains(doc, []byte("<Key>")) {
		return "", nil, nil // nearly always
	}
	var list struct {
		XMLName xml.Name
		Entries []struct {
			XMLName xml.Name
			Key     string
		} `xml:",any"`
	}
	if err := xml.Unmarshal(bytes.TrimSpace(doc), &list); err != nil {
		return "", nil, fmt.Errorf("s3xml: list of versions: %w", err)
	}
	switch list.XMLName.Local {
	case "ListVersionsResult":
	case "Error":
		failed, err = ParseError(doc)
		return "", failed, err
	default:
		return "", nil, fmt.Errorf("s3xml: list of versions: root <%s>", list.XMLName.Local)
	}
	for i := range list.Entries {
		e := &list.Entries[i]
		if name := e.XMLName.Local; name == "Version" || name == "DeleteMarker" {
			key, err := url.QueryUnescape(e.Key)
			if err == nil && key == "" {
				err = fmt.Errorf("s3xml: list of versions: <%s> without a key", name)
			}
			return key, nil, err
		}
	}
	return "", nil, nil
}
