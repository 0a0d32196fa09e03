package proxy

import (
	"bytes"
	"strconv"
)

// farAway is beyond the end of every object: a position of more digits than
// this has is the same place.
const farAway = 999_999_999_999_999_999

// byteRange is the one range of a Range header (RFC 9110 section 14.1.2).
type byteRange struct {
	suffix      bool  // the last last bytes
	first, last int64 // last is -1 when the range goes on to the end
}

// parseRange reads a Range header. ok is false for one that is ignored, so that
// the whole object is given: what is not well-formed, ends before it begins or
// counts other units than bytes, as section 14.2 wants or allows it, and several
// ranges, of which S3 gives none either
// (docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html).
//
// This is the one reading of it: MinIO reads on behind a second range, answers
// 416 to one that ends before it begins, and takes a number of 19 digits for none.
func parseRange(value []byte) (r byteRange, ok bool) {
	unit, set, found := bytes.Cut(value, []byte{'='})
	if !found || !equalFold(unit, "bytes") {
		return r, false
	}
	// A list may have empty elements, and white space around its commas, but none
	// before the first or behind the last (section 5.6.1).
	if len(set) == 0 || isBlank(set[0]) || isBlank(set[len(set)-1]) {
		return r, false
	}
	var one []byte
	for len(set) > 0 {
		var spec []byte
		spec, set, _ = bytes.Cut(set, []byte{','})
		spec = bytes.Trim(spec, " \t")
		switch {
		case len(spec) == 0:
		case one != nil:
			return r, false
		default:
			one = spec
		}
	}
	first, last, found := bytes.Cut(one, []byte{'-'})
	if !found {
		return r, false
	}
	if len(first) == 0 {
		r.suffix = true
		r.last, ok = position(last)
		return r, ok
	}
	if r.first, ok = position(first); !ok {
		return r, false
	}
	if len(last) == 0 {
		r.last = -1
		return r, true
	}
	r.last, ok = position(last)
	return r, ok && r.last >= r.first
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// position is a number of as many digits as the client likes.
func position(digits []byte) (n int64, ok bool) {
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int64(c-'0'); n > farAway/10 {
			n = farAway / 10 // a tenth, so that the next digit does not overflow
		}
	}
	if n >= farAway/10 {
		n = farAway
	}
	return n, len(digits) > 0
}

// append writes the range as every backend reads it.
func (r byteRange) append(dst []byte) []byte {
	dst = append(dst, "bytes="...)
	if !r.suffix {
		dst = strconv.AppendInt(dst, r.first, 10)
	}
	dst = append(dst, '-')
	if r.last >= 0 {
		dst = strconv.AppendInt(dst, r.last, 10)
	}
	return dst
}
