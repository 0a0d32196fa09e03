package sigv4

import (
	"bytes"
	"slices"
)

// unreserved are the bytes that S3 leaves as they are (S3-RULES.md B3).
var unreserved = func() (t [256]bool) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for _, c := range "-._~" {
		t[c] = true
	}
	return t
}()

const upperHex = "0123456789ABCDEF"

// AppendEscape appends s percent-encoded by S3's rule: every byte but the
// unreserved ones, in upper-case hexadecimal, '/' kept when keepSlash.
func AppendEscape(dst, s []byte, keepSlash bool) []byte {
	for _, c := range s {
		if unreserved[c] || c == '/' && keepSlash {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
	}
	return dst
}

// canonical builds canonical requests. It is reused; its buffers grow to the
// size of the largest request and stay.
type canonical struct {
	buf    []byte
	params []encodedParam
	arena  []byte
}

type encodedParam struct{ name, value []byte }

// request writes the canonical request of r. order is sortHeaders of its
// headers, signed are the names of the signed ones, lower case, sorted, each
// once. skip is a query parameter that is left out ("X-Amz-Signature" of
// presigned requests), or "".
func (c *canonical) request(r *Request, order []int, signed [][]byte, skip string, payload []byte, fold folding) []byte {
	b := append(c.buf[:0], r.Method...)
	b = append(b, '\n')
	b = AppendEscape(b, r.Target.Path, true)
	b = append(b, '\n')
	b = c.query(b, r.Target.Query, skip)
	b = append(b, '\n')
	for _, name := range signed {
		b = append(b, name...)
		b = append(b, ':')
		b, order = appendHeaderValues(b, r.Headers, order, name, fold)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	for i, name := range signed {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	b = append(b, '\n')
	b = append(b, payload...)
	c.buf = b
	return b
}

// query appends the canonical query: names and values encoded, sorted by name
// and then value, "?acl" the same as "?acl=" (S3-RULES.md B5).
func (c *canonical) query(b []byte, query []Param, skip string) []byte {
	size := 0
	for i := range query {
		size += 3 * (len(query[i].Name) + len(query[i].Value))
	}
	if cap(c.arena) < size {
		c.arena = make([]byte, 0, 2*size)
	}
	c.arena, c.params = c.arena[:0], c.params[:0]
	for i := range query {
		if skip != "" && string(query[i].Name) == skip {
			continue
		}
		n := len(c.arena)
		c.arena = AppendEscape(c.arena, query[i].Name, false)
		m := len(c.arena)
		c.arena = AppendEscape(c.arena, query[i].Value, false)
		c.params = append(c.params, encodedParam{c.arena[n:m], c.arena[m:]})
	}
	slices.SortFunc(c.params, compareParams)
	for i := range c.params {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, c.params[i].name...)
		b = append(b, '=')
		b = append(b, c.params[i].value...)
	}
	return b
}

func compareParams(a, b encodedParam) int {
	if n := bytes.Compare(a.name, b.name); n != 0 {
		return n
	}
	return bytes.Compare(a.value, b.value)
}

// appendHeaderValues appends the canonical value of a header: each line
// trimmed, inner runs of white space folded to one space, lines joined with a
// comma in the order of their arrival (S3-RULES.md B6). It returns what of order is
// behind the header: the next name is a later one.
func appendHeaderValues(b []byte, headers []Header, order []int, name []byte, fold folding) ([]byte, []int) {
	first := true
	for ; len(order) > 0; order = order[1:] {
		h := &headers[order[0]]
		n := compareFold(h.Name, name)
		if n > 0 {
			break
		}
		if n < 0 {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = fold(b, h.Value)
	}
	return b, order
}

// folding appends a header's value as a reader of signatures folds it.
type folding func(b, value []byte) []byte

// foldASCII is AWS's: spaces and tabs.
func foldASCII(b, value []byte) []byte {
	value = bytes.Trim(value, " \t")
	space := false
	for _, c := range value {
		if c == ' ' || c == '\t' {
			space = true
			continue
		}
		if space {
			b = append(b, ' ')
			space = false
		}
		b = append(b, c)
	}
	return b
}

// foldUnicode is MinIO's, strings.Join(strings.Fields(value), " "): every white
// space of Unicode is one, so that "a\u00a0b" is signed as "a b".
func foldUnicode(b, value []byte) []byte {
	first := true
	for field := range bytes.FieldsSeq(value) {
		if !first {
			b = append(b, ' ')
		}
		first = false
		b = append(b, field...)
	}
	return b
}
