package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/primecloudpro/primecloud/proxy/s3err"
)

// reading is what the client wants of an object beside its bytes, and how the
// backend was asked for it.
type reading struct {
	conditional bool // there is a condition, or If-Range
	ranged      bool // the client wants a range
	whole       bool // the backend is asked for the whole object all the same
	free        bool // the backend is asked without the conditions
	beyond      bool // the range begins behind the end: 416 is what the client is told
}

// maxReads is how often the backend may be asked. Each time but the last two
// drops something; those are for an object that is replaced meanwhile.
const maxReads = 6

var errRestless = errors.New("proxy: the backend gives other answers to the same question")

// sendRead asks for an object and holds the response to what the client's
// conditions say of the validators in it, by RFC 9110 section 13.2.2: the
// backend's own opinion of conditions counts for nothing. MinIO ignores If-Range,
// so that a download that goes on after the object was replaced is made of two;
// it takes no list of entity tags, looks at If-Modified-Since beside
// If-None-Match, and at If-Match last.
//
// A request without conditions is sent as ever.
func (x *exchange) sendRead() error {
	for range maxReads {
		if err := x.send(nil); err != nil {
			return err
		}
		if x.reading.ranged && x.resp.Status == 206 && x.resp.ContentLength == 0 {
			// The end of an empty object. MinIO calls it "bytes 0--1/0", and no
			// Content-Range can say it (section 14.4): it is the whole object.
			x.resp.Status = 200
		}
		if !x.reading.conditional {
			return nil
		}
		again, err := x.judge()
		if !again {
			return err
		}
		x.leaveResponse()
		x.prepare()
	}
	return &s3err.Error{Code: "ServiceUnavailable", Cause: errRestless}
}

// judge looks at a response. again is true when the backend has to be asked once
// more, for what it should have given.
func (x *exchange) judge() (again bool, err error) {
	w, status := &x.reading, x.resp.Status
	switch status {
	case 200, 206, 304, 412:
	case 416:
		// It says nothing of the object that there is, and a condition goes first.
		again = w.ranged && !w.whole && !w.beyond
		w.whole = again
		return again, nil
	default:
		return false, nil
	}
	v := x.validators()
	verdict := x.verdict(&v)
	switch {
	case verdict == status:
		return false, nil
	case status == 412, status == 304 && verdict == 0:
		again = !w.free && v.tag.given && !v.modified.IsZero()
		w.free = true
		return again, nil
	case verdict == 412:
		x.keepErrorHeaders()
		return false, &s3err.Error{Code: "PreconditionFailed"}
	case verdict == 304:
		x.resp.Abort()
		x.resp.Status = 304
		return false, nil
	case !w.ranged:
		return false, nil
	case !x.isCurrent(&v):
		w.whole, w.beyond = true, false
		return status == 206, nil
	case w.whole && !w.beyond: // it was 416 that asked for the whole
		w.whole, w.beyond = false, true
		return true, nil
	}
	return false, nil
}

// leaveResponse ends a response that is not the client's.
func (x *exchange) leaveResponse() {
	if x.resp.Status >= 300 {
		// A few bytes: the connection is worth more.
		_, _ = io.CopyN(io.Discard, &x.resp, maxErrorDocument)
	}
	x.finish()
}

// entityTag is one (RFC 9110 section 8.8.3).
type entityTag struct {
	opaque      []byte
	weak, given bool
}

// validators are what a response says of the object that it is about.
type validators struct {
	tag      entityTag
	modified time.Time // zero: it does not say
	date     time.Time // when that was so, by the same clock
}

func (x *exchange) validators() (v validators) {
	v.tag, _ = cutTag(x.resp.Header("etag"))
	v.modified, _ = http.ParseTime(string(x.resp.Header("last-modified")))
	var err error
	if v.date, err = http.ParseTime(string(x.resp.Header("date"))); err != nil {
		v.date = x.srv.cfg.now()
	}
	return v
}

// verdict is 412 or 304 when a condition says so, and 0 when the object is to be
// given: section 13.2.2, steps 1 to 4. A condition on what the response does not say
// is the backend's to judge.
func (x *exchange) verdict(v *validators) int {
	if list, ok := x.condition("if-match"); ok {
		if v.tag.given && !listHas(list, v.tag, true) {
			return 412
		}
	} else if since, ok := x.dateCondition("if-unmodified-since"); ok && !v.modified.IsZero() && v.modified.After(since) {
		return 412
	}
	if list, ok := x.condition("if-none-match"); ok {
		if v.tag.given && listHas(list, v.tag, false) {
			return 304
		}
	} else if since, ok := x.dateCondition("if-modified-since"); ok && !v.modified.IsZero() && !v.modified.After(since) {
		return 304
	}
	return 0
}

// isCurrent reports whether the range may be of this object: step 5, section
// 13.1.5. A date is the object's when it is exactly its Last-Modified, and only when
// that second is over: until then another object may come that has the same one
// (section 8.8.2.2).
func (x *exchange) isCurrent(v *validators) bool {
	value, ok := x.condition("if-range")
	if !ok {
		return true
	}
	if date, err := http.ParseTime(string(value)); err == nil {
		return date.Equal(v.modified) && !v.date.Before(v.modified.Add(time.Second))
	}
	tag, rest := cutTag(value)
	return len(rest) == 0 && tag.equal(v.tag, true)
}

// condition is a condition's value; an empty one asks for nothing.
func (x *exchange) condition(name string) ([]byte, bool) {
	v, _ := x.header(name)
	return v, len(v) > 0
}

// dateCondition is a condition's date. One that is no HTTP-date is to be ignored
// (sections 13.1.3 and 13.1.4).
func (x *exchange) dateCondition(name string) (time.Time, bool) {
	v, ok := x.condition(name)
	if !ok {
		return time.Time{}, false
	}
	at, err := http.ParseTime(string(v))
	return at, err == nil
}

// listHas reports whether a list of entity tags names tag, or all there are.
func listHas(list []byte, tag entityTag, strong bool) bool {
	if string(bytes.Trim(list, " \t")) == "*" {
		return true
	}
	for len(list) > 0 {
		var one entityTag
		if one, list = cutTag(list); one.equal(tag, strong) {
			return true
		}
	}
	return false
}

// equal is the strong or the weak comparison (section 8.8.3.2).
func (t entityTag) equal(o entityTag, strong bool) bool {
	return t.given && o.given && bytes.Equal(t.opaque, o.opaque) && (!strong || !t.weak && !o.weak)
}

// cutTag takes the first entity tag from a list. Clients of S3 send its value
// without quotes, too, and S3 takes that.
func cutTag(list []byte) (tag entityTag, rest []byte) {
	list = bytes.TrimLeft(list, " \t,")
	quoted, weak := bytes.CutPrefix(list, []byte("W/"))
	if len(quoted) > 0 && quoted[0] == '"' {
		if opaque, rest, ok := bytes.Cut(quoted[1:], []byte{'"'}); ok {
			return entityTag{opaque: opaque, weak: weak, given: true}, rest
		}
	}
	bare, rest, _ := bytes.Cut(list, []byte{','})
	bare = bytes.TrimRight(bare, " \t")
	return entityTag{opaque: bare, given: len(bare) > 0}, rest
}
