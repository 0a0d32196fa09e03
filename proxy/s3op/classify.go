package s3op

import (
	"bytes"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/sigv4"
)

var (
	errMethod    = &s3err.Error{Code: "MethodNotAllowed"}
	errQuery     = s3err.New("NotImplemented", "The request has a query parameter that this operation does not take.")
	errList      = s3err.InvalidArgument("list-type must be 2.", "list-type", nil)
	errPart      = s3err.New("InvalidArgument", "partNumber and uploadId must both be given.")
	errNoVersion = s3err.New("InvalidArgument", "This operation does not accept a version-id.")
)

// Parameters of one listing that S3 refuses on the other: a client that pages with
// them would read the first page for ever.
var (
	ofListObjectsV2 = map[string]*s3err.Error{
		"continuation-token": s3err.InvalidArgument("continuation-token only supported in REST.GET.BUCKET with list-type=2", "continuation-token", nil),
		"start-after":        s3err.InvalidArgument("startAfter only supported in REST.GET.BUCKET with list-type=2", "start-after", nil),
	}
	ofListObjects = map[string]*s3err.Error{
		"marker": s3err.InvalidArgument("Marker unsupported with REST.GET.BUCKET in list-type=2", "marker", nil),
	}
)

// conflict is S3's answer to two sub-resources at once.
func conflict(a, b []byte) *s3err.Error {
	if bytes.Compare(a, b) > 0 {
		a, b = b, a
	}
	return s3err.InvalidArgument("Conflicting query string parameters: "+string(a)+", "+string(b), "ResourceType", a)
}

type row struct {
	base, copy *Operation // without a selector
	selected   map[string]*Operation
	copies     map[string]*Operation // with a selector and x-amz-copy-source
}

// index is the table by what a request has. It is made once and never changed.
type index struct {
	rows      [Object + 1]map[string]*row // by method
	refusals  map[string]*s3err.Error     // by sub-resource
	selectors map[string]struct{}         // every name that selects a row for some method
	byName    map[string]*Operation
}

var table = newIndex()

func newIndex() *index {
	x := &index{refusals: map[string]*s3err.Error{}, selectors: map[string]struct{}{}, byName: map[string]*Operation{}}
	for level := range x.rows {
		x.rows[level] = map[string]*row{}
	}
	for _, o := range Operations {
		x.byName[o.Name] = o
		m := x.rows[o.Level][o.Method]
		if m == nil {
			m = &row{selected: map[string]*Operation{}, copies: map[string]*Operation{}}
			x.rows[o.Level][o.Method] = m
		}
		switch {
		case o.Selector == "" && o.CopySource:
			m.copy = o
		case o.Selector == "":
			m.base = o
		case o.CopySource:
			m.copies[o.Selector] = o
		default:
			m.selected[o.Selector] = o
		}
		if o.Selector != "" {
			x.selectors[o.Selector] = struct{}{}
		}
	}
	for _, r := range refused {
		x.refusals[r.selector] = s3err.New("NotImplemented", r.sentence)
		x.selectors[r.selector] = struct{}{}
	}
	return x
}

var (
	// elsewhere are parameters that say which thing is meant, beside the selectors:
	// an operation without them would do it to another.
	elsewhere  = map[string]struct{}{"versionId": {}, "partNumber": {}}
	authParams = map[string]struct{}{
		"x-amz-algorithm": {}, "x-amz-credential": {}, "x-amz-date": {}, "x-amz-expires": {},
		"x-amz-signedheaders": {}, "x-amz-signature": {}, "x-amz-content-sha256": {},
	}
)

// ByName returns the operation called name, or nil.
func ByName(name string) *Operation { return table.byName[name] }

// Refused lists the sub-resources that are refused on every method without a
// row of their own, with the sentence the client gets.
func Refused(visit func(selector, sentence string)) {
	for _, r := range refused {
		visit(r.selector, r.sentence)
	}
}

// AuthParam reports whether a query parameter belongs to a presigned URL's
// authentication; such parameters never reach the backend.
func AuthParam(name []byte) bool {
	if !hasFoldPrefix(name, prefixAmz) {
		return false
	}
	var lower [32]byte
	if len(name) > len(lower) {
		return false
	}
	_, ok := authParams[string(appendLower(lower[:0], name))]
	return ok
}

// Hoisted reports whether a query parameter is a header that a presigner moved
// into the query (S3-RULES.md B25).
func Hoisted(name []byte) bool { return hasFoldPrefix(name, prefixAmz) && !AuthParam(name) }

// Classify finds the operation that a request asks for. copySource says
// whether the request has an x-amz-copy-source header. It allocates nothing but
// some refusals; the others are shared values.
//
// Exactly one sub-resource may be named (S3-RULES.md D13: MinIO takes the first
// route that matches). Another parameter is one that the operation takes, or it
// asks for nothing: see ignores.
func Classify(method []byte, level Level, query []sigv4.Param, copySource bool) (*Operation, *s3err.Error) {
	m := table.rows[level][string(method)]
	if m == nil {
		return nil, unknownMethod(query)
	}
	var selector []byte
	for i := range query {
		name := query[i].Name
		if _, ok := table.selectors[string(name)]; !ok {
			continue
		}
		if selector != nil {
			return nil, conflict(selector, name)
		}
		selector = name
	}
	op := m.base
	switch {
	case selector == nil && copySource && m.copy != nil:
		op = m.copy
	case selector != nil && copySource && m.copies[string(selector)] != nil:
		op = m.copies[string(selector)]
	case selector != nil:
		if op = m.selected[string(selector)]; op == nil {
			return nil, refusalOf(selector)
		}
	}
	if op == nil {
		return nil, errMethod
	}
	for i := range query {
		p := &query[i]
		switch {
		case selector != nil && string(p.Name) == string(selector):
			if op.Selector == "list-type" && string(p.Value) != "2" {
				return nil, errList
			}
		case string(p.Name) == "x-id", hasFoldPrefix(p.Name, prefixAmz), op.Allows(p.Name), version2(p.Name):
		case op.meantFor[string(p.Name)] != nil:
			return nil, op.meantFor[string(p.Name)]
		case op.ignores(p.Name, query):
		case string(p.Name) == "versionId":
			return nil, errNoVersion.WithArgument("versionId", p.Value)
		default:
			return nil, errQuery
		}
	}
	if op.Body == Stream || op.CopySource {
		if (selector != nil) != has(query, "partNumber") {
			return nil, errPart
		}
	}
	return op, nil
}

// ignores reports whether a parameter that nobody knows asks for nothing: on what
// only reads, ?v=1 keeps a cache from answering and ?utm_source= counts visits. A
// presigned URL carries x- parameters for its maker's own log
// (docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html#LogFormatCustom);
// the signature covers them, so that nobody else has added one. None is forwarded.
func (o *Operation) ignores(name []byte, query []sigv4.Param) bool {
	if _, meant := elsewhere[string(name)]; meant {
		return false
	}
	return o.Method == "GET" || o.Method == "HEAD" || hasFoldPrefix(name, prefixCustom) && presigned(query)
}

var prefixCustom = []byte("x-")

func presigned(query []sigv4.Param) bool { return has(query, "X-Amz-Signature") }

// version2 are the parameters of a Signature Version 2 URL, which resolve
// refuses with a sentence that says what to set instead.
func version2(name []byte) bool {
	return string(name) == "AWSAccessKeyId" || string(name) == "Signature" || string(name) == "Expires"
}

func unknownMethod(query []sigv4.Param) *s3err.Error {
	for i := range query {
		if r := table.refusals[string(query[i].Name)]; r != nil {
			return r
		}
	}
	return errMethod
}

func refusalOf(selector []byte) *s3err.Error {
	if r := table.refusals[string(selector)]; r != nil {
		return r
	}
	return errMethod
}

func has(query []sigv4.Param, name string) bool {
	for i := range query {
		if string(query[i].Name) == name {
			return true
		}
	}
	return false
}

func hasFoldPrefix(s, lowerPrefix []byte) bool {
	return len(s) >= len(lowerPrefix) && bytes.EqualFold(s[:len(lowerPrefix)], lowerPrefix)
}

func appendLower(dst, s []byte) []byte {
	for _, c := range s {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
