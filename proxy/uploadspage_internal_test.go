package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// naivePage is the page as S3 describes it, of a list that is there whole.
func naivePage(all []s3xml.Upload, key, id string, limit int) (page []s3xml.Upload, more bool) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b s3xml.Upload) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.UploadID, b.UploadID))
	})
	for _, u := range all {
		switch {
		case key == "", u.Key > key, u.Key == key && id != "" && u.UploadID > id:
			page = append(page, u)
		}
	}
	if len(page) > limit {
		return page[:limit], limit > 0
	}
	return page, false
}

// TestUploadsPage_model: the page that is made in passing is that of the list
// which is sorted whole, and never more than a page was held.
func TestUploadsPage_model(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var all []s3xml.Upload
		for i := range rnd.IntN(120) {
			all = append(all, s3xml.Upload{Key: fmt.Sprintf("k\x01 %%/%d", rnd.IntN(40)), UploadID: fmt.Sprintf("%d-%d", rnd.IntN(50), i), Initiated: fmt.Sprint(i)})
		}
		limit := []int{0, 1, 2, 7, 50, 1000}[rnd.IntN(6)]
		p := &uploadsPage{sorted: true, limit: limit}
		if len(all) > 0 && seed%3 > 0 {
			after := all[rnd.IntN(len(all))]
			p.key = after.Key
			if seed%3 > 1 {
				p.id = after.UploadID
			}
		}
		encoding := []string{"", "url"}[seed%2]
		head := &s3xml.Uploads{EncodingType: encoding, IsTruncated: true, NextKeyMarker: "no", NextUploadIDMarker: "no"}
		for _, u := range all {
			if encoding != "" {
				u.Key = url.QueryEscape(u.Key)
			}
			if err := p.take(head, &u); err != nil {
				t.Fatal(err)
			}
			if len(p.uploads) > limit {
				t.Fatalf("seed %d: a page of %d holds %d", seed, limit, len(p.uploads))
			}
		}
		if err := p.fill(head); err != nil {
			t.Fatal(err)
		}
		want, more := naivePage(all, p.key, p.id, limit)
		next := s3xml.Upload{}
		if more {
			next = want[limit-1]
		}
		if diff := gocmp.Diff(want, head.Uploads); diff != "" && len(want)+len(head.Uploads) > 0 {
			t.Fatalf("seed %d, %d of %d behind %q %q: %s", seed, limit, len(all), p.key, p.id, diff)
		}
		if head.IsTruncated != more || head.NextKeyMarker != next.Key || head.NextUploadIDMarker != next.UploadID || head.KeyMarker != p.key {
			t.Fatalf("seed %d, %d of %d behind %q %q: %+v", seed, limit, len(all), p.key, p.id, head)
		}
	}
}

// What is no page ends the answer: it has no end, its keys do not decode, or how
// they are encoded is said behind them.
func TestUploadsPage_failsClosed(t *testing.T) {
	t.Parallel()
	encoded := &s3xml.Uploads{EncodingType: "url"}
	own := &uploadsPage{limit: 3}
	for range 3 {
		if err := own.take(encoded, &s3xml.Upload{Key: "k"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := own.take(encoded, &s3xml.Upload{Key: "k"}); err == nil || own.err == nil {
		t.Error("a page of the backend's own has no end")
	}
	for _, made := range []bool{false, true} {
		p := &uploadsPage{limit: 3, sorted: made}
		head := *encoded
		err := p.take(&head, &s3xml.Upload{Key: "%zz"})
		if err == nil {
			err = p.fill(&head)
		}
		if err == nil {
			t.Errorf("made=%v: a key that does not decode is taken", made)
		}
	}
	late := &uploadsPage{limit: 3, sorted: true, key: "z"}
	if err := late.take(&s3xml.Uploads{}, &s3xml.Upload{Key: "k%41"}); err != nil {
		t.Fatal(err)
	}
	if late.fill(encoded) == nil {
		t.Error("the keys were read in one way and are written in another")
	}
}

// A page takes leave for what its uploads cost, whatever comes into it and goes
// out of it again, and keeps no upload for which there is no leave.
func TestUploadsPage_holds(t *testing.T) {
	t.Parallel()
	refused := 0
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		most, held, asked := 1000+rnd.IntN(40_000), 0, 0
		p := &uploadsPage{sorted: seed%2 == 0, limit: 1 + rnd.IntN(20), hold: func(n int) error {
			if asked = n; held+n > most {
				return errBusy
			}
			held += n
			return nil
		}}
		for i := range p.limit + 40*int(1-seed%2) {
			u := s3xml.Upload{Key: strings.Repeat("k", 1+rnd.IntN(1024)), UploadID: fmt.Sprint(i)}
			before := len(p.uploads)
			err := p.take(&s3xml.Uploads{}, &u)
			cost := 0
			for j := range p.uploads {
				cost += len(p.uploads[j].Key) + len(p.uploads[j].UploadID)
			}
			if held < cost || held > 2*cost+256*len(p.uploads) || held < 0 {
				t.Fatalf("seed %d: %d are held for %d uploads of %d bytes", seed, held, len(p.uploads), cost)
			}
			if err == nil {
				continue
			}
			refused++
			if !errors.Is(err, errBusy) || !errors.Is(p.err, errBusy) || len(p.uploads) != before || held+asked <= most {
				t.Fatalf("seed %d: %v with %d held of %d, %d were asked for, %d uploads are kept of %d", seed, err, held, most, asked, len(p.uploads), before)
			}
			break
		}
	}
	if refused < 50 || refused > 350 {
		t.Errorf("%d of 400 were refused", refused)
	}
}
