package bucketsync

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/internal/minioraw"
	"github.com/primecloudpro/primecloud/tenancy"
)

// MinIO keeps an object in a folder of its key. It never looks for objects in
// the folder of another one: when `a` is an object, `a/b` can be written, read
// and deleted by its name, and is in no listing.

// HiddenObjects are those of a bucket that another object hides.
type HiddenObjects struct {
	Keys     int64       `json:"keys"`
	Bytes    int64       `json:"bytes"`    // of the current versions of those that were measured
	Measured int64       `json:"measured"` // keys: maxHeads at most, and those that are no delete markers
	Examples []HiddenKey `json:"examples"`
}

// HiddenKey is a key that no listing has.
type HiddenKey struct {
	Key string `json:"key"`
	By  string `json:"by"` // the object that hides it
}

// MaxExamples is how many hidden keys of a bucket are named.
const MaxExamples = 10

const (
	maxHeads = 1000 // how many of a bucket are asked for their size
	// hiddenTogether is how many listed versions MinIO looks below for one answer.
	// It holds all file names below in its memory meanwhile; and for each answer it
	// reads the names in one folder anew, which would be slow for fewer.
	hiddenTogether = 50_000
	hiddenTries    = 3
)

// hiddenSearch looks in one backend.
type hiddenSearch struct {
	client   *minio.Client
	raw      *minioraw.Server
	drives   []string
	together int
	err      error // why nothing in the backend can be searched
}

var errNoMinIO = errors.New("only MinIO tells of them, and the backend's kind is s3")

func newHiddenSearch(ctx context.Context, b *tenancy.Backend, client *minio.Client) *hiddenSearch {
	s := &hiddenSearch{client: client, together: hiddenTogether}
	if b.Kind != tenancy.BackendMinIO {
		s.err = errNoMinIO
		return s
	}
	h, err := b.HTTPClient()
	if err != nil {
		s.err = err
		return s
	}
	if t, ok := h.Transport.(*http.Transport); ok {
		t.ResponseHeaderTimeout = 10 * time.Minute // MinIO looks first, and then answers
	}
	s.raw = &minioraw.Server{Endpoint: b.Endpoints[0], Region: b.Region, AccessKey: b.AccessKeyID, SecretKey: b.SecretKey, HTTP: &http.Client{Transport: h.Transport}}
	s.drives, s.err = s.raw.Drives(ctx)
	return s
}

func (s *comparison) lookForHidden(ctx context.Context, search *hiddenSearch, o tenancy.Owner) error {
	row := Row{BackendBucket: o.BackendName, Account: o.Account, Bucket: o.Name}
	found, err := search.bucket(ctx, o.BackendName)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		row.Finding, row.ToDo = Unknown, "hidden objects: "+err.Error()
	case found.Keys == 0:
		return nil
	default:
		first := found.Examples[0]
		row.Finding, row.Hidden = Hidden, &found
		row.ToDo = fmt.Sprintf("%d keys, the first is %q, hidden by %q: get each by its name, put it under a name that is below no object, and delete the hidden one by its name", found.Keys, first.Key, first.By)
	}
	s.add(row)
	return nil
}

// bucket lists what can be seen, and looks below it: the topmost of the objects
// that hide one is hidden by none.
func (s *hiddenSearch) bucket(ctx context.Context, bucket string) (found HiddenObjects, err error) {
	if s.err != nil {
		return found, s.err
	}
	found.Examples = []HiddenKey{}
	listed := s.client.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true})
	for g, err := range hiderGroups(listed, s.together) {
		if err != nil {
			return found, err
		}
		hidden, err := s.below(ctx, bucket, g)
		if err != nil {
			return found, err
		}
		if err := s.measure(ctx, bucket, hidden, &found); err != nil {
			return found, err
		}
	}
	return found, nil
}

// below returns what the keys of a group hide.
func (s *hiddenSearch) below(ctx context.Context, bucket string, g hiderGroup) ([]HiddenKey, error) {
	var absent string
	for range hiddenTries {
		seen, hidden := make(map[string]bool, len(g.keys)), map[string]string{}
		for _, key := range g.keys {
			seen[key] = false
		}
		err := s.raw.Objects(ctx, s.drives, bucket, g.glob, func(key string) {
			if _, listed := seen[key]; listed {
				seen[key] = true
				return
			}
			for i := range len(key) - 1 {
				if key[i] != '/' {
					continue
				}
				if _, listed := seen[key[:i]]; listed {
					hidden[key] = key[:i]
					return
				}
			}
		})
		if err != nil {
			return nil, err
		}
		// What did not come was deleted since the listing, or the answer is not whole.
		if absent, err = s.absent(ctx, bucket, g.keys, seen); err != nil {
			return nil, err
		}
		if absent == "" {
			list := make([]HiddenKey, 0, len(hidden))
			for key, by := range hidden {
				if seen[by] { // it was not deleted since the listing
					list = append(list, HiddenKey{key, by})
				}
			}
			slices.SortFunc(list, func(a, b HiddenKey) int { return strings.Compare(a.Key, b.Key) })
			return list, nil
		}
	}
	return nil, fmt.Errorf("MinIO's answer is not whole, %q is not in it: try again when less is deleted there", absent)
}

// absent returns a key that was not seen and is still listed.
func (s *hiddenSearch) absent(ctx context.Context, bucket string, keys []string, seen map[string]bool) (string, error) {
	for _, key := range keys {
		if seen[key] {
			continue
		}
		for o := range s.client.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Prefix: key, Recursive: true, WithVersions: true, MaxKeys: 1}) {
			if o.Err != nil {
				return "", o.Err
			}
			if o.Key == key {
				return key, nil
			}
			break
		}
	}
	return "", nil
}

func (s *hiddenSearch) measure(ctx context.Context, bucket string, hidden []HiddenKey, found *HiddenObjects) error {
	for _, h := range hidden {
		found.Keys++
		if len(found.Examples) < MaxExamples {
			found.Examples = append(found.Examples, h)
		}
		if found.Keys > maxHeads {
			continue
		}
		// A delete marker, one with a customer's key: it has no size to tell.
		if o, err := s.client.StatObject(ctx, bucket, h.Key, minio.StatObjectOptions{}); err == nil {
			found.Bytes += o.Size
			found.Measured++
		} else if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// hiderGroup is some listed keys, below which objects may be hidden, and a glob
// that has their folders and as few others as can be.
type hiderGroup struct {
	glob string
	keys []string
}

// hiderGroups parts a listing: a group is the keys of a common beginning, of as
// many versions as are looked at together, or one key. A key that ends with
// a slash hides nothing: MinIO keeps it in a folder of another name. Of one with
// a backslash MinIO does not tell (minioraw.Server.Objects).
func hiderGroups(listed iter.Seq[minio.ObjectInfo], together int) iter.Seq2[hiderGroup, error] {
	return func(yield func(hiderGroup, error) bool) {
		next, stop := iter.Pull(listed)
		defer stop()
		var window []string // listed and not yet in a group
		var versions []int  // of each in window
		sum, more := 0, true
		before := "" // the last that is in a group
		for {
			for more && sum <= together {
				o, ok := next()
				switch {
				case !ok:
					more = false
				case o.Err != nil:
					yield(hiderGroup{}, o.Err)
					return
				case strings.HasSuffix(o.Key, "/") || strings.Contains(o.Key, `\`) || o.Key == before:
				case len(window) > 0 && window[len(window)-1] == o.Key:
					versions[len(versions)-1]++
					sum++
				default:
					window, versions = append(window, o.Key), append(versions, 1)
					sum++
				}
			}
			if len(window) == 0 {
				return
			}
			g, n := firstGroup(window, before, !more)
			before = window[n-1]
			for _, v := range versions[:n] {
				sum -= v
			}
			window, versions = window[n:], versions[n:]
			if !yield(g, nil) {
				return
			}
		}
	}
}

// firstGroup takes as many keys of a sorted window as have a common beginning
// that no key before them has, nor one behind the window.
func firstGroup(window []string, before string, last bool) (hiderGroup, int) {
	key := window[0]
	for i := 0; i <= len(key); i++ {
		beginning := key[:i]
		if i < len(key) && !utf8.RuneStart(key[i]) || before != "" && strings.HasPrefix(before, beginning) {
			continue
		}
		if !last && strings.HasPrefix(window[len(window)-1], beginning) {
			continue
		}
		n := 1
		for n < len(window) && strings.HasPrefix(window[n], beginning) {
			n++
		}
		return hiderGroup{minioraw.Literal(beginning) + "*", window[:n]}, n
	}
	return hiderGroup{minioraw.Literal(key), window[:1]}, 1
}
