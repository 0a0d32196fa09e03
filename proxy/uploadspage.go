package proxy

import (
	"cmp"
	"container/heap"
	"errors"
	"net/url"
	"slices"

	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// uploadsPage is one page of a list of uploads, taken out of the backend's
// answer while it passes. It never holds more than limit uploads.
//
// When sorted is set, the backend gives the uploads of a whole bucket at once, in
// no order, whatever the markers are, and the page is made here: by key, then by
// id, so that a marker still has its place after its upload was aborted, since
// clients clean up while they list. Otherwise the page and its order are the
// backend's own.
type uploadsPage struct {
	sorted  bool
	limit   int
	hold    func(n int) error // takes leave to hold n bytes more; nil: always given
	key, id string            // a sorted page begins behind them

	uploads  largestFirst // of the backend's own page, a plain list
	more     bool         // there are uploads behind the page
	taken    bool         // there was an upload
	encoding string       // its key was taken for encoded in this way
	err      error        // what take ended with
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
		p.err = p.keepSmallest(u)
	case len(p.uploads) == p.limit:
		p.err = errLongPage
	default:
		if p.err = p.mayHold(u, nil); p.err == nil {
			p.uploads = append(p.uploads, *u)
		}
	}
	return p.err
}

// keepSmallest keeps u while it is among the first limit uploads behind the marker.
func (p *uploadsPage) keepSmallest(u *s3xml.Upload) (err error) {
	if p.encoding == "url" {
		if u.Key, err = url.QueryUnescape(u.Key); err != nil {
			return err
		}
	}
	switch {
	case p.key != "" && (u.Key < p.key || u.Key == p.key && (p.id == "" || u.UploadID <= p.id)):
	case len(p.uploads) < p.limit:
		if err := p.mayHold(u, nil); err != nil {
			return err
		}
		heap.Push(&p.uploads, *u)
	default:
		p.more = true
		if p.limit > 0 && compareUploads(u, &p.uploads[0]) < 0 {
			if err := p.mayHold(u, &p.uploads[0]); err != nil {
				return err
			}
			p.uploads[0] = *u
			heap.Fix(&p.uploads, 0)
		}
	}
	return nil
}

// mayHold asks for the memory of u, less that of the upload that it replaces.
func (p *uploadsPage) mayHold(u, replaced *s3xml.Upload) error {
	n := uploadSize(u)
	if replaced != nil {
		n -= uploadSize(replaced)
	}
	if p.hold == nil {
		return nil
	}
	return p.hold(n)
}

// uploadSize is what an upload in a page costs: its texts, and about as much
// again for the struct and the client's id.
func uploadSize(u *s3xml.Upload) int { return 2*(len(u.Key)+len(u.UploadID)) + 256 }

// fill puts the page into the list that was read to its end, whose names are
// plain from then on.
func (p *uploadsPage) fill(l *s3xml.Uploads) (err error) {
	if !p.sorted {
		l.Uploads = p.uploads
	}
	if l.EncodingType == "url" {
		l.EachName(func(s string) string {
			plain, derr := url.QueryUnescape(s)
			err = errors.Join(err, derr)
			return plain
		})
	}
	if !p.sorted {
		return err
	}
	if p.taken && p.encoding != l.EncodingType {
		return errEncoding
	}
	slices.SortFunc(p.uploads, func(a, b s3xml.Upload) int { return compareUploads(&a, &b) })
	l.Uploads = p.uploads
	l.KeyMarker, l.NextKeyMarker, l.NextUploadIDMarker, l.IsTruncated = p.key, "", "", false
	if n := len(p.uploads); n > 0 && p.more {
		last := p.uploads[n-1]
		l.IsTruncated, l.NextKeyMarker, l.NextUploadIDMarker = true, last.Key, last.UploadID
	}
	return err
}

func compareUploads(a, b *s3xml.Upload) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.UploadID, b.UploadID))
}

// largestFirst is a heap: of the uploads kept so far, the first is the one that
// gives way to a smaller one.
type largestFirst []s3xml.Upload

func (l largestFirst) Len() int           { return len(l) }
func (l largestFirst) Less(i, j int) bool { return compareUploads(&l[i], &l[j]) > 0 }
func (l largestFirst) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *largestFirst) Push(u any)        { *l = append(*l, u.(s3xml.Upload)) }
func (l *largestFirst) Pop() any          { panic("proxy: a page of uploads gives none back") }
