package s3xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

const (
	namespace       = "http://s3.amazonaws.com/doc/2006-03-01/"
	requestDepth    = 16
	requestElements = 200_000
)

// decode reads a request document into v and returns how often each element
// occurs. DOCTYPEs, a second root, deep nesting and a wrong root are refused
// (A18).
func decode(doc []byte, root string, v any) (map[string]int, error) {
	seen, err := scan(doc, root)
	if err != nil {
		return nil, err
	}
	if err := xml.Unmarshal(doc, v); err != nil {
		return nil, malformed("The XML you provided was not well-formed.")
	}
	return seen, nil
}

func scan(doc []byte, root string) (map[string]int, error) {
	seen := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(doc))
	depth, roots, total := 0, 0, 0
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, malformed("The XML you provided was not well-formed.")
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, malformed("The XML has a DOCTYPE or another directive, which is not accepted.")
		case xml.StartElement:
			if depth == 0 {
				roots++
				if t.Name.Local != root || roots > 1 {
					return nil, malformed("The XML's root must be one <" + root + ">.")
				}
			}
			if depth++; depth > requestDepth {
				return nil, malformed("The XML is nested too deeply.")
			}
			if total++; total > requestElements {
				return nil, malformed("The XML has too many elements.")
			}
			seen[t.Name.Local]++
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(t)) > 0 {
				return nil, malformed("The XML has text outside its root.")
			}
		}
	}
	if roots != 1 || depth != 0 {
		return nil, malformed("The XML you provided was not well-formed.")
	}
	return seen, nil
}

// encode builds the document for the backend. Every element of the client's
// must be in it: what would be dropped is refused instead.
func encode(v any, seen map[string]int) ([]byte, error) {
	out, err := xml.Marshal(v)
	if err != nil {
		return nil, err
	}
	made, err := scan(out, rootOf(out))
	if err != nil {
		return nil, err
	}
	for name, n := range seen {
		if made[name] < n {
			return nil, unsupported("The document's element <%s> is not supported here, or stands in the wrong place.", name)
		}
	}
	return out, nil
}

func rootOf(doc []byte) string {
	name, _, _ := bytes.Cut(doc[1:bytes.IndexByte(doc, '>')], []byte(" "))
	return string(name)
}
