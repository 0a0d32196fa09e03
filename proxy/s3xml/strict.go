package s3xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
)

const (
	namespace       = "http://s3.amazonaws.com/doc/2006-03-01/"
	requestDepth    = 16
	requestElements = 200_000
)

// decode reads a request document into v and returns how often each element
// occurs that has something inside: an empty one asks for nothing. DOCTYPEs, a
// second root, deep nesting and a wrong root are refused (S3-RULES.md A18), and
// what v's type has no place for: see shape.
func decode(doc []byte, root string, v any) (map[string]int, error) {
	// .NET's writers put it there; it is no part of the document (XML 1.0 section 4.3.3).
	doc = bytes.TrimPrefix(doc, []byte("\ufeff"))
	place := shapeOf(reflect.TypeOf(v))
	seen, err := scan(doc, root, place)
	if err != nil {
		return nil, err
	}
	if err := xml.Unmarshal(doc, v); err != nil {
		return nil, malformed("The XML you provided was not well-formed.")
	}
	return seen, nil
}

// shape is what may stand inside an element, taken from the Go type that it is
// read into. encoding/xml takes the last of two elements where there is room for
// one, and reads over what has no place; another reader takes the first.
type shape struct {
	children map[string]*shape // nil: text
	many     bool
}

func shapeOf(t reflect.Type) *shape {
	s := &shape{}
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		s.many = s.many || t.Kind() == reflect.Slice
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return s
	}
	s.children = map[string]*shape{}
	for f := range t.Fields() {
		if f.Type == reflect.TypeFor[xml.Name]() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("xml"), ",")
		if name == "" {
			name = f.Name
		}
		s.children[name] = shapeOf(f.Type)
	}
	return s
}

// has reports whether an element of the name has a place anywhere inside.
func (s *shape) has(name string) bool {
	for n, child := range s.children {
		if n == name || child.has(name) {
			return true
		}
	}
	return false
}

// opened is an element whose end has not come, with what it has had inside.
type opened struct {
	place *shape
	had   map[string]struct{} // children that may come only once
	text  bool                // it has had some
}

// enter finds the place of an element inside the innermost that is open.
func (o *opened) enter(name, rootName string, root *shape) (*shape, error) {
	place := o.place.children[name]
	switch {
	case place == nil && (name == rootName || root.has(name)):
		return nil, malformed("The element <" + name + "> stands where it does not belong.")
	case place == nil:
		return nil, unknownElement(name)
	case place.many:
		return place, nil
	}
	if _, twice := o.had[name]; twice {
		return nil, malformed("The element <" + name + "> stands twice where it may stand once.")
	}
	if o.had == nil {
		o.had = map[string]struct{}{}
	}
	o.had[name] = struct{}{}
	return place, nil
}

// sentences say what is meant by elements that S3 has and this gateway has not.
var sentences = map[string]string{
	"Transition":                  sentenceTransition,
	"NoncurrentVersionTransition": sentenceTransition,
	"Grant": "TargetGrants are not supported: log objects belong to the account, and access keys decide who reads them. " +
		"Leave TargetGrants out.",
}

const sentenceTransition = "Lifecycle transitions are not supported: there is one storage class. Use expirations."

func unknownElement(name string) error {
	if sentence, ok := sentences[name]; ok {
		return unsupported("%s", sentence)
	}
	return unsupported("The document's element <%s> is not supported here, or stands in the wrong place.", name)
}

// scan counts the elements of doc. root may be nil: then each may stand anywhere.
func scan(doc []byte, name string, root *shape) (map[string]int, error) {
	seen := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(doc))
	var open []opened
	roots, total := 0, 0
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
			place := root
			if len(open) == 0 {
				roots++
				if t.Name.Local != name || roots > 1 {
					return nil, malformed("The XML's root must be one <" + name + ">.")
				}
			} else if root != nil {
				if place, err = open[len(open)-1].enter(t.Name.Local, name, root); err != nil {
					return nil, err
				}
			}
			if open = append(open, opened{place: place}); len(open) > requestDepth {
				return nil, malformed("The XML is nested too deeply.")
			}
			if total++; total > requestElements {
				return nil, malformed("The XML has too many elements.")
			}
		case xml.EndElement:
			if len(open) == 0 {
				return nil, malformed("The XML you provided was not well-formed.")
			}
			if last := &open[len(open)-1]; last.place == nil || last.place.children != nil || last.text {
				seen[t.Name.Local]++
			}
			open = open[:len(open)-1]
		case xml.CharData:
			outside := len(open) == 0 || root != nil && open[len(open)-1].place.children != nil
			if outside && len(bytes.TrimSpace(t)) > 0 {
				return nil, malformed("The XML has text outside its elements.")
			}
			if len(open) > 0 && len(t) > 0 {
				open[len(open)-1].text = true
			}
		}
	}
	if roots != 1 || len(open) != 0 {
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
	made, err := scan(out, rootOf(out), nil)
	if err != nil {
		return nil, err
	}
	for name, n := range seen {
		switch {
		case made[name] >= n:
		case shapeOf(reflect.TypeOf(v)).has(name):
			return nil, malformed("The element <" + name + "> must have a value.")
		default:
			return nil, unknownElement(name)
		}
	}
	return out, nil
}

func rootOf(doc []byte) string {
	name, _, _ := bytes.Cut(doc[1:bytes.IndexByte(doc, '>')], []byte(" "))
	return string(name)
}
