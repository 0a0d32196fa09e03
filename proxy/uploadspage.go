package proxy

import (
	"bytes"
	"cmp"
	"container/heap"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// uploadsPage is one page of a list of uploads, taken out of the backend's
// response while it passes. It never holds more than limit entries.
//
// When sorted is set, the backend gives the uploads of a whole bucket at once,
// whatever is asked for, and the page is made here as S3 describes it
// (docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html): by key,
// those of a key in the order in which they were begun, from the marker on, and
// what has the delimiter behind the prefix as one common prefix. The order is that
// of what is in the ids, so that a marker still has its place after its upload
// was aborted: clients clean up while they list. Otherwise the page and its order
// are the backend's own.
type uploadsPage struct {
	sorted            bool
	limit             int
	hold              func(n int) error // takes leave to hold n bytes more; nil: always given
	prefix, delimiter string
	marker            pageEntry // a sorted page begins behind it

	entries  largestFirst // of the backend's own page, a plain list
	there    map[pageName]struct{}
	more     bool   // there are entries behind the page
	taken    bool   // the list that is being read had an upload
	encoding string // its key was taken for encoded in this way
	err      error  // what take ended with
}

// pageEntry is an upload, or a common prefix, which has a key and no id.
type pageEntry struct {
	s3xml.Upload

	begun int64 // nanoseconds of Unix time, 0: not known
}

// pageName is what an entry is known by, where there may be a second one: a
// common prefix by its text, an upload of the key that is the prefix by its id,
// since the backend is asked for that key's twice.
type pageName struct {
	common bool
	text   string
}

var (
	errLongPage = errors.New("a page of uploads is longer than any that was asked for")
	errEncoding = errors.New("a list of uploads says too late how its keys are encoded")
)

// take is for s3xml.ReadUploads.
func (p *uploadsPage) take(head *s3xml.Uploads, u *s3xml.Upload) error {
	switch {
	case p.sorted:
		p.taken, p.encoding = true, head.EncodingType
		p.err = p.takeSorted(u)
	case len(p.entries) == p.limit:
		p.err = errLongPage
	default:
		e := pageEntry{Upload: *u}
		if p.err = p.mayHold(&e, nil); p.err == nil {
			p.entries = append(p.entries, e)
		}
	}
	return p.err
}

// endList looks at a list that was read to its end. Another one may follow.
func (p *uploadsPage) endList(head *s3xml.Uploads) error {
	if p.taken && p.encoding != head.EncodingType {
		return errEncoding
	}
	p.taken = false
	return nil
}

// takeSorted keeps what u is in the page, if it is anything there.
func (p *uploadsPage) takeSorted(u *s3xml.Upload) (err error) {
	if p.encoding == "url" {
		if u.Key, err = url.QueryUnescape(u.Key); err != nil {
			return err
		}
	}
	rest, inside := strings.CutPrefix(u.Key, p.prefix)
	if !inside {
		return nil
	}
	e := pageEntry{Upload: *u, begun: begun(u.UploadID)}
	if p.marker.Key != "" && (u.Key == p.marker.Key && p.marker.UploadID == "" || compareEntries(&e, &p.marker) <= 0) {
		return nil
	}
	if i := strings.Index(rest, p.delimiter); i >= 0 && p.delimiter != "" {
		e = pageEntry{Upload: s3xml.Upload{Key: u.Key[:len(p.prefix)+i+len(p.delimiter)]}}
		if e.Key == p.marker.Key {
			return nil // it was the last of the page before
		}
	}
	return p.keepSmallest(&e)
}

// keepSmallest keeps e while it is among the first limit entries behind the marker.
func (p *uploadsPage) keepSmallest(e *pageEntry) error {
	name, named := p.name(e)
	if _, twice := p.there[name]; named && twice {
		return nil
	}
	full := len(p.entries) == p.limit
	if full {
		p.more = true
		if p.limit == 0 || compareEntries(e, &p.entries[0]) >= 0 {
			return nil
		}
	}
	var replaced *pageEntry
	if full {
		replaced = &p.entries[0]
	}
	if err := p.mayHold(e, replaced); err != nil {
		return err
	}
	if e.UploadID == "" {
		e.Key = strings.Clone(e.Key) // of a longer one
	}
	if full {
		if old, ok := p.name(replaced); ok {
			delete(p.there, old)
		}
		p.entries[0] = *e
		heap.Fix(&p.entries, 0)
	} else {
		heap.Push(&p.entries, *e)
	}
	if named {
		if p.there == nil {
			p.there = map[pageName]struct{}{}
		}
		if name.common {
			name.text = e.Key
		}
		p.there[name] = struct{}{}
	}
	return nil
}

// name is by what e is recognised when it comes again; ok is false when it cannot.
func (p *uploadsPage) name(e *pageEntry) (n pageName, ok bool) {
	switch {
	case e.UploadID == "":
		return pageName{common: true, text: e.Key}, true
	case p.prefix != "" && e.Key == p.prefix:
		return pageName{text: e.UploadID}, true
	}
	return n, false
}

// mayHold asks for the memory of e, less that of the entry that it replaces.
func (p *uploadsPage) mayHold(e, replaced *pageEntry) error {
	n := entrySize(e)
	if replaced != nil {
		n -= entrySize(replaced)
	}
	if p.hold == nil {
		return nil
	}
	return p.hold(n)
}

// entrySize is what an entry of a page costs: its texts, and about as much
// again for the struct, its name and the client's id.
func entrySize(e *pageEntry) int { return 2*(len(e.Key)+len(e.UploadID)) + 384 }

// fill puts the page into the list that was read to its end, whose names are
// plain from then on.
func (p *uploadsPage) fill(l *s3xml.Uploads) (err error) {
	if !p.sorted {
		for i := range p.entries {
			l.Uploads = append(l.Uploads, p.entries[i].Upload)
		}
		if l.EncodingType == "url" {
			l.EachName(func(s string) string {
				plain, derr := url.QueryUnescape(s)
				err = errors.Join(err, derr)
				return plain
			})
		}
		return err
	}
	slices.SortFunc(p.entries, func(a, b pageEntry) int { return compareEntries(&a, &b) })
	*l = s3xml.Uploads{KeyMarker: p.marker.Key, Prefix: p.prefix, Delimiter: p.delimiter, MaxUploads: int64(p.limit)}
	for i := range p.entries {
		e := &p.entries[i]
		if e.UploadID == "" {
			l.CommonPrefixes = append(l.CommonPrefixes, e.Key)
			continue
		}
		if e.begun > 0 {
			// MinIO says when it had answered, a little later, and when it is asked for
			// the key, this.
			e.Initiated = time.Unix(0, e.begun).UTC().Format("2006-01-02T15:04:05.000Z")
		}
		l.Uploads = append(l.Uploads, e.Upload)
	}
	if n := len(p.entries); n > 0 && p.more {
		last := &p.entries[n-1]
		l.IsTruncated, l.NextKeyMarker, l.NextUploadIDMarker = true, last.Key, last.UploadID
	}
	return nil
}

// begun is when an upload was begun: its id is, in base64url, the deployment, a
// dot, a UUID, an x and that time in nanoseconds (MinIO's
// cmd/erasure-multipart.go). Ids of older versions have no time.
func begun(id string) int64 {
	var buf [160]byte
	if len(id) > 200 {
		return 0
	}
	raw, err := base64.RawURLEncoding.AppendDecode(buf[:0], []byte(id))
	if err != nil {
		return 0
	}
	i := bytes.LastIndexByte(raw, 'x')
	if i < 0 {
		return 0
	}
	n, err := strconv.ParseInt(string(raw[i+1:]), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func compareEntries(a, b *pageEntry) int {
	if c := cmp.Compare(a.Key, b.Key); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.begun, b.begun), cmp.Compare(a.UploadID, b.UploadID))
}

// largestFirst is a heap: of the entries kept so far, the first is the one that
// gives way to a smaller one.
type largestFirst []pageEntry

func (l largestFirst) Len() int           { return len(l) }
func (l largestFirst) Less(i, j int) bool { return compareEntries(&l[i], &l[j]) > 0 }
func (l largestFirst) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *largestFirst) Push(e any)        { *l = append(*l, e.(pageEntry)) }
func (l *largestFirst) Pop() any          { panic("proxy: a page of uploads gives none back") }
