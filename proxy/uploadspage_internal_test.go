package proxy

import (
	"cmp"
	"encoding/base64"
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
func naivePage(all []s3xml.Upload, p *uploadsPage) (page []string, more bool) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b s3xml.Upload) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Initiated, b.Initiated), cmp.Compare(a.UploadID, b.UploadID))
	})
	begin := p.marker.Key == ""
	for _, u := range all {
		behind := u.Key > p.marker.Key
		if u.Key == p.marker.Key && p.marker.UploadID != "" {
			behind = begin // the marker's own place was passed
			if u.UploadID == p.marker.UploadID {
				begin = true
			}
		}
		rest, inside := strings.CutPrefix(u.Key, p.prefix)
		if p.marker.Key != "" && !behind || !inside {
			continue
		}
		entry := u.Key + "@" + u.UploadID
		if head, _, found := strings.Cut(rest, p.delimiter); found && p.delimiter != "" {
			entry = p.prefix + head + p.delimiter
			if entry == p.marker.Key {
				continue
			}
		}
		if !slices.Contains(page, entry) {
			page = append(page, entry)
		}
	}
	if len(page) > p.limit {
		return page[:p.limit], p.limit > 0
	}
	return page, false
}

// madeID is an id as MinIO makes them, of an upload that was begun at a time.
func madeID(n, begun int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "deployment.%08d-2f63-4b98x%d", n, begun))
}

// TestUploadsPage_model: the page that is made in passing is that of the list
// which is sorted whole, and never more than a page was held. What of it is in a
// second list as well is there once.
func TestUploadsPage_model(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
		var all, twice []s3xml.Upload
		p := &uploadsPage{sorted: true, limit: []int{0, 1, 2, 7, 50, 1000}[rnd.IntN(6)], prefix: pick("", "a", "a/", "a/b", "\x01 %"), delimiter: pick("", "/", "/b", "%")}
		for i := range rnd.IntN(120) {
			begun := 1_700_000_000_000_000_000 + rnd.IntN(9)
			u := s3xml.Upload{
				Key: pick("a", "b", "\x01 %") + pick("", "/", "/b", "%/") + pick("", "/", "c", "%") + pick("", "/d"), UploadID: madeID(rnd.IntN(1e8), begun),
				Initiated: fmt.Sprint(begun), StorageClass: fmt.Sprint(i),
			}
			if all = append(all, u); p.prefix != "" && u.Key == p.prefix {
				twice = append(twice, u)
			}
		}
		if len(all) > 0 && seed%3 > 0 {
			after := all[rnd.IntN(len(all))]
			p.marker.Key = after.Key
			if seed%3 > 1 {
				p.marker.UploadID, p.marker.begun = after.UploadID, begun(after.UploadID)
			}
			if i := strings.Index(after.Key, "/"); rnd.IntN(4) == 0 && i >= 0 {
				p.marker = pageEntry{Upload: s3xml.Upload{Key: after.Key[:i+1]}}
			}
		}
		encoding := []string{"", "url"}[seed%2]
		for _, list := range [][]s3xml.Upload{all, twice} {
			head := &s3xml.Uploads{EncodingType: encoding}
			for _, u := range list {
				if encoding != "" {
					u.Key = url.QueryEscape(u.Key)
				}
				if err := p.take(head, &u); err != nil {
					t.Fatal(err)
				}
				if len(p.entries) > p.limit || len(p.there) > p.limit {
					t.Fatalf("seed %d: a page of %d holds %d, %d", seed, p.limit, len(p.entries), len(p.there))
				}
			}
			if err := p.endList(head); err != nil {
				t.Fatal(err)
			}
		}
		l := &s3xml.Uploads{EncodingType: encoding, IsTruncated: true, NextKeyMarker: "no", NextUploadIDMarker: "no"}
		if err := p.fill(l); err != nil {
			t.Fatal(err)
		}
		want, more := naivePage(all, p)
		got := slices.Clone(l.CommonPrefixes)
		for _, u := range l.Uploads {
			got = append(got, u.Key+"@"+u.UploadID)
		}
		what := fmt.Sprintf("seed %d, %d of %d behind %q %q, prefix %q, delimiter %q", seed, p.limit, len(all), p.marker.Key, p.marker.UploadID, p.prefix, p.delimiter)
		var wantNext, wantID string
		if more {
			wantNext, wantID, _ = strings.Cut(want[p.limit-1], "@")
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := gocmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
			t.Fatalf("%s: %s", what, diff)
		}
		if l.IsTruncated != more || l.NextKeyMarker != wantNext || l.NextUploadIDMarker != wantID || l.KeyMarker != p.marker.Key || l.Prefix != p.prefix || l.Delimiter != p.delimiter {
			t.Fatalf("%s: %v, next %q %q, wanted %v %q %q", what, l.IsTruncated, l.NextKeyMarker, l.NextUploadIDMarker, more, wantNext, wantID)
		}
		if !slices.IsSortedFunc(l.Uploads, func(a, b s3xml.Upload) int {
			return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(begun(a.UploadID), begun(b.UploadID)))
		}) {
			t.Fatalf("%s: in no order: %v", what, l.Uploads)
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
	late := &uploadsPage{limit: 3, sorted: true}
	if err := late.take(&s3xml.Uploads{}, &s3xml.Upload{Key: "k%41"}); err != nil {
		t.Fatal(err)
	}
	if late.endList(encoded) == nil {
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
			before := len(p.entries)
			err := p.take(&s3xml.Uploads{}, &u)
			cost := 0
			for j := range p.entries {
				cost += len(p.entries[j].Key) + len(p.entries[j].UploadID)
			}
			if held < cost || held > 2*cost+384*len(p.entries) || held < 0 {
				t.Fatalf("seed %d: %d are held for %d uploads of %d bytes", seed, held, len(p.entries), cost)
			}
			if err == nil {
				continue
			}
			refused++
			if !errors.Is(err, errBusy) || !errors.Is(p.err, errBusy) || len(p.entries) != before || held+asked <= most {
				t.Fatalf("seed %d: %v with %d held of %d, %d were asked for, %d uploads are kept of %d", seed, err, held, most, asked, len(p.entries), before)
			}
			break
		}
	}
	if refused < 50 || refused > 350 {
		t.Errorf("%d of 400 were refused", refused)
	}
}
