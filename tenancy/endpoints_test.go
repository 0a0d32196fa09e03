package tenancy_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// closedPort is an endpoint where nobody listens.
func closedPort(t *testing.T, scheme string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return scheme + "://" + l.Addr().String()
}

// TestBackend_Client: control calls go on while one endpoint of a backend answers,
// whichever it is, over http and https.
func TestBackend_Client(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(away.Close)
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(cut.Close)
	for scheme, m := range map[string]*devstack.MinIO{"http": testenv.MinIO(t), "https": testenv.MinIOTLS(t)} {
		ca := ""
		if m.CAFile != "" {
			pem, err := os.ReadFile(m.CAFile)
			if err != nil {
				t.Fatal(err)
			}
			ca = string(pem)
		}
		others := [][]string{nil, {closedPort(t, scheme)}, {closedPort(t, scheme), closedPort(t, scheme)}}
		if scheme == "http" {
			others = append(others, []string{away.URL}, []string{cut.URL}, []string{cut.URL, closedPort(t, scheme), away.URL})
		}
		for _, first := range others {
			b := tenancy.Backend{Name: "many", Endpoints: append(append([]string{}, first...), m.Endpoint), AccessKeyID: m.AccessKey, SecretKey: m.SecretKey, CA: ca, Region: "us-east-1"}
			c, err := b.Client()
			if err != nil {
				t.Fatal(err)
			}
			bucket := "no-such-bucket-at-any-endpoint"
			for range 3 {
				if _, err := c.ListBuckets(t.Context()); err != nil {
					t.Errorf("%s, %q: %v", scheme, first, err)
				}
			}
			_, err = c.PutObject(t.Context(), bucket, "k", strings.NewReader("x"), 1, minio.PutObjectOptions{})
			if code := minio.ToErrorResponse(err).Code; code != "NoSuchBucket" {
				t.Errorf("%s, %q: %v", scheme, first, err)
			}
		}
	}
}

// TestBackend_Client_leaves: an endpoint that is away is not asked each time.
func TestBackend_Client_leaves(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(away.Close)
	m := testenv.MinIO(t)
	c, err := (&tenancy.Backend{Endpoints: []string{away.URL, m.Endpoint}, AccessKeyID: m.AccessKey, SecretKey: m.SecretKey, Region: "us-east-1"}).Client()
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := c.ListBuckets(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := asked.Load(); n > 2 {
		t.Errorf("asked %d times", n)
	}
}
