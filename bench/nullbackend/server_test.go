package nullbackend_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/bench/nullbackend"
)

func serve(t *testing.T) string {
	t.Helper()
	s, err := nullbackend.Listen("127.0.0.1:0", 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	go func() { _ = s.Serve() }()
	return "http://" + s.Addr()
}

func ask(t *testing.T, method, url string, body io.Reader, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		k, v, _ := strings.Cut(h, ": ")
		r.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, b
}

// TestServer uses one kept-alive client: what is read too far or too little shows.
func TestServer(t *testing.T) {
	t.Parallel()
	url := serve(t)
	seen := map[int][]byte{}
	for range 2 {
		for _, n := range []int{0, 1, 1024, 64 << 10, 64<<10 + 1, 40 << 20} {
			resp, b := ask(t, "GET", fmt.Sprintf("%s/b/%d/17", url, n), nil)
			if resp.StatusCode != 200 || len(b) != n || resp.Header.Get("ETag") == "" {
				t.Fatalf("%d bytes: status %d, %d bytes", n, resp.StatusCode, len(b))
			}
			if old := seen[n]; old != nil && !bytes.Equal(old, b) {
				t.Errorf("%d bytes: other bytes than before", n)
			}
			seen[n] = b
			if resp, _ := ask(t, "HEAD", fmt.Sprintf("%s/b/%d/17", url, n), nil); resp.ContentLength != int64(n) {
				t.Errorf("HEAD of %d bytes says %d", n, resp.ContentLength)
			}
			if resp, b := ask(t, "PUT", url+"/b/k", bytes.NewReader(seen[n]), "Expect: 100-continue"); resp.StatusCode != 200 || resp.Header.Get("ETag") == "" || len(b) > 0 {
				t.Errorf("PUT of %d bytes: %d", n, resp.StatusCode)
			}
		}
	}
	if resp, _ := ask(t, "GET", url+"/b/none", nil); resp.StatusCode != 404 {
		t.Error("a key without a length:", resp.StatusCode)
	}
	if resp, _ := ask(t, "PUT", url+"/b/k", io.MultiReader(strings.NewReader("no length"))); resp.StatusCode != 411 {
		t.Error("an upload without a length:", resp.StatusCode)
	}
}

func TestServer_list(t *testing.T) {
	t.Parallel()
	_, b := ask(t, "GET", serve(t)+"/"+nullbackend.ListBucket+"?list-type=2", nil)
	var list struct {
		Contents []struct{ Key string }
	}
	if err := xml.Unmarshal(b, &list); err != nil || len(list.Contents) != 1000 {
		t.Errorf("%d keys, %v", len(list.Contents), err)
	}
}

func TestListen_loopbackOnly(t *testing.T) {
	t.Parallel()
	if s, err := nullbackend.Listen("0.0.0.0:0", 1); err == nil {
		t.Error("it listens on", s.Addr())
	}
}
