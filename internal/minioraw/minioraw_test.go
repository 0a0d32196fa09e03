package minioraw_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/minioraw"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// bucket makes one with objects of a size, and returns its server and name.
func bucket(t *testing.T, m *devstack.MinIO, size int, keys ...string) (*minioraw.Server, string) {
	t.Helper()
	c, err := minio.New(strings.TrimPrefix(m.Endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(m.AccessKey, m.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	name := "raw-" + strings.ToLower(rand.Text())
	if err := c.MakeBucket(t.Context(), name, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, size)
	_, _ = rand.Read(body)
	for _, key := range keys {
		if _, err := c.PutObject(t.Context(), name, key, bytes.NewReader(body), int64(size), minio.PutObjectOptions{}); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
	}
	return server(m), name
}

func server(m *devstack.MinIO) *minioraw.Server {
	return &minioraw.Server{Endpoint: m.Endpoint, Region: "us-east-1", AccessKey: m.AccessKey, SecretKey: m.SecretKey, HTTP: &http.Client{}}
}

func objects(t *testing.T, s *minioraw.Server, bucket, glob string) (map[string]int, error) {
	t.Helper()
	drives, err := s.Drives(t.Context())
	if err != nil {
		return nil, err
	}
	times := map[string]int{}
	return times, s.Objects(t.Context(), drives, bucket, glob, func(key string) { times[key]++ })
}

// odd are keys with what globs, URLs, paths and MinIO's own names are made of.
var odd = []string{
	"top", "top/d0", "a/b/c/d", "a", "s/", "s/x", "st*r", "st*r/**/x", "a[b]/c", "a[b]/c/]", "q?m/x", "new\nline/x", "ünï cödé/x y", "a+b%20&c=d;e/f",
	"...", ".../x", "-", "^", "{a,b}", "7c9e6679-7425-40de-944b-e07fc1f90ae7/x", "foo/xl.meta", "foo/xl.meta/y", "foo/part.1", "dir__XLDIR__/x", "format.json",
}

func TestServer_Objects(t *testing.T) {
	t.Parallel()
	single := testenv.MinIO(t)
	erasure, err := devstack.StartMinIO(t.Context(), devstack.MinIOConfig{Dir: t.TempDir(), Drives: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = erasure.Stop() })
	for name, c := range map[string]struct {
		m      *devstack.MinIO
		drives int
		size   int
	}{
		"one drive, small": {single, 1, 10},
		"one drive, large": {single, 1, 300 << 10}, // not within the metadata
		"erasure, small":   {erasure, 4, 10},
		"erasure, large":   {erasure, 4, 600 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, b := bucket(t, c.m, c.size, odd...)
			if drives, err := s.Drives(t.Context()); err != nil || len(drives) != c.drives {
				t.Errorf("drives: %q, %v", drives, err)
			}
			want := map[string]int{}
			for _, key := range odd {
				want[key] = c.drives
			}
			got, err := objects(t, s, b, "*")
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("all: %v %s", err, diff)
			}
			for _, beginning := range []string{"st*", "a[b", "q?", "a+", "...", "top", "ü"} {
				with := maps.Clone(want)
				maps.DeleteFunc(with, func(key string, _ int) bool { return !strings.HasPrefix(key, beginning) })
				got, err := objects(t, s, b, minioraw.Literal(beginning)+"*")
				if diff := cmp.Diff(with, got); diff != "" || err != nil {
					t.Errorf("%q and more: %v %s", beginning, err, diff)
				}
			}
			// Each key, taken literally, matches what is in its folder and nothing else.
			for key := range want {
				if strings.HasSuffix(key, "/") {
					continue
				}
				below := maps.Clone(want)
				maps.DeleteFunc(below, func(other string, _ int) bool { return other != key && !strings.HasPrefix(other, key+"/") })
				got, err := objects(t, s, b, minioraw.Literal(key))
				if diff := cmp.Diff(below, got); diff != "" || err != nil {
					t.Errorf("%q: %v %s", key, err, diff)
				}
			}
		})
	}
}

// TestServer_Objects_Cut cuts the answer at many places: a part of it is never
// taken for the whole.
func TestServer_Objects_Cut(t *testing.T) {
	t.Parallel()
	s, b := bucket(t, testenv.MinIO(t), 20<<10, "a", "b", "c")
	drives, err := s.Drives(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	length, cut := 0, 0 // cut: from the end, when below zero
	whole := true
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = to.Host },
		ModifyResponse: func(r *http.Response) error {
			body, err := io.ReadAll(r.Body)
			length = len(body)
			switch { // answers to the same question differ by some bytes
			case whole:
			case cut < 0:
				body = body[:len(body)+cut]
			default:
				body = body[:cut]
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			return err
		},
	}
	// The signature is for MinIO's own address.
	s.HTTP = &http.Client{Transport: through(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		proxy.ServeHTTP(w, r)
		return w.Result(), nil
	})}
	ask := func() error {
		return s.Objects(t.Context(), drives, b, "*", func(string) {})
	}
	if err := ask(); err != nil || length < 60<<10 {
		t.Fatalf("whole: %v, %d bytes", err, length)
	}
	whole = false
	for _, cut = range []int{0, 1, 32, 33, 34, 100, 16 << 10, 16<<10 + 33, 16<<10 + 49, 2*(16<<10+16) + 33, 50_000, -1000, -17, -16, -1} {
		if ask() == nil {
			t.Errorf("cut at %d of %d: no error", cut, length)
		}
	}
}

type through func(*http.Request) (*http.Response, error)

func (f through) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestServer_Objects_Data has an object whose folder is named as the files of
// metadata are: MinIO sends its data too, and that has a limit.
func TestServer_Objects_Data(t *testing.T) {
	t.Parallel()
	s, b := bucket(t, testenv.MinIO(t), 2<<20, "top", "top/x/xl.meta")
	if got, err := objects(t, s, b, "*"); err != nil || got["top/x/xl.meta"] != 1 {
		t.Errorf("within the limit: %v, %v", got, err)
	}
	s.MaxData = 1 << 20
	if _, err := objects(t, s, b, "*"); !errors.Is(err, minioraw.ErrData) {
		t.Errorf("beyond the limit: %v", err)
	}
}

func TestServer_refused(t *testing.T) {
	t.Parallel()
	s := server(testenv.MinIO(t))
	s.SecretKey += "x"
	if _, err := s.Drives(t.Context()); err == nil || errors.Is(err, minioraw.ErrDenied) || errors.Is(err, minioraw.ErrNoInspection) || !strings.Contains(err.Error(), "SignatureDoesNotMatch") {
		t.Errorf("a wrong secret: %v", err)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	s.Endpoint = other.URL
	if _, err := s.Drives(t.Context()); !errors.Is(err, minioraw.ErrNoInspection) {
		t.Errorf("no MinIO: %v", err)
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<html>"+strings.Repeat(" ", 100))
	}))
	defer page.Close()
	s.Endpoint = page.URL
	if _, err := s.Drives(t.Context()); !errors.Is(err, minioraw.ErrNoInspection) {
		t.Errorf("a page: %v", err)
	}
}
