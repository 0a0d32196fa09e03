package s3op

import (
	"bytes"

	"github.com/primecloudpro/primecloud/sigv4"
)

// RefusalError is why a request is no operation of the table. Code is S3's error
// code. Refusals made here are shared values: do not change them.
type RefusalError struct {
	Code    string
	Message string
}

func (r *RefusalError) Error() string { return r.Code + ": " + r.Message }

var (
	errMethod = &RefusalError{"MethodNotAllowed", "The specified method is not allowed against this resource."}
	errTwo    = &RefusalError{"InvalidArgument", "The request names more than one sub-resource; send one at a time."}
	errQuery  = &RefusalError{"NotImplemented", "The request has a query parameter that this operation does not take."}
	errList   = &RefusalError{"InvalidArgument", "list-type must be 2."}
	errPart   = &RefusalError{"InvalidArgument", "partNumber and uploadId must both be given."}
)

type row struct {
	base, copy *Operation // without a selector
	selected   map[string]*Operation
	copies     map[string]*Operation // with a selector and x-amz-copy-source
}

var (
	rows       [Object + 1]map[string]*row
	refusals   = map[string]*RefusalError{}
	selectors  = map[string]struct{}{} // every name that selects a row for some method
	byName     = map[string]*Operation{}
	authParams = map[string]struct{}{
		"x-amz-algorithm": {}, "x-amz-credential": {}, "x-amz-date": {}, "x-amz-expires": {},
		"x-amz-signedheaders": {}, "x-amz-signature": {}, "x-amz-content-sha256": {},
	}
)

func init() {
	for level := range rows {
		rows[level] = map[string]*row{}
	}
	for _, o := range Operations {
		byName[o.Name] = o
		m := rows[o.Level][o.Method]
		if m == nil {
			m = &row{selected: map[string]*Operation{}, copies: map[string]*Operation{}}
			rows[o.Level][o.Method] = m
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
			selectors[o.Selector] = struct{}{}
		}
	}
	for _, r := range refused {
		refusals[r.selector] = &RefusalError{"NotImplemented", r.sentence}
		selectors[r.selector] = struct{}{}
	}
}

// ByName returns the operation called name, or nil.
func ByName(name string) *Operation { return byName[name] }

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
// whether the request has an x-amz-copy-source header. It allocates nothing.
//
// Exactly one sub-resource may be named (D13: MinIO takes the first route that
// matches), and every other parameter must be one the operation takes.
func Classify(method []byte, level Level, query []sigv4.Param, copySource bool) (*Operation, *RefusalError) {
	m := rows[level][string(method)]
	if m == nil {
		return nil, unknownMethod(query)
	}
	var selector []byte
	for i := range query {
		name := query[i].Name
		if _, ok := selectors[string(name)]; !ok {
			continue
		}
		if selector != nil {
			return nil, errTwo
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
		case string(p.Name) == string(selector):
			if op.Selector == "list-type" && string(p.Value) != "2" {
				return nil, errList
			}
		case string(p.Name) == "x-id", hasFoldPrefix(p.Name, prefixAmz), op.Allows(p.Name), version2(p.Name):
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

// version2 are the parameters of a Signature Version 2 URL, which resolve
// refuses with a sentence that says what to set instead.
func version2(name []byte) bool {
	return string(name) == "AWSAccessKeyId" || string(name) == "Signature" || string(name) == "Expires"
}

func unknownMethod(query []sigv4.Param) *RefusalError {
	for i := range query {
		if r := refusals[string(query[i].Name)]; r != nil {
			return r
		}
	}
	return errMethod
}

func refusalOf(selector []byte) *RefusalError {
	if r := refusals[string(selector)]; r != nil {
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
