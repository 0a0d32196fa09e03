package proxy_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// One validator says what a bucket may be called, whoever asks.
func TestBucketNames(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	for _, name := range []string{
		"xn--a", "x-s3alias", "x--ol-s3", "sthree-x", "amzn-s3-demo-x", "x.mrap", "x--x-s3", "x--table-s3", "a.-b", "a-.b",
		"ab", "-ab", "ab-", "a..b", "1.2.3.4", "UPPER", "a_b", strings.Repeat("a", 64),
	} {
		for _, method := range []string{"PUT", "GET", "DELETE"} {
			if r := tn.raw().do(t, &request{method: method, path: "/" + name}); r.status != http.StatusBadRequest || r.code() != "InvalidBucketName" {
				t.Errorf("%s %s: %d %s", method, name, r.status, r.code())
			}
		}
	}
	for _, name := range []string{"xn-a", "a--b", "1.2.3", strings.Repeat("a", 63)} {
		if r := tn.raw().do(t, &request{method: "PUT", path: "/" + name}); r.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, r.status, r.code())
		}
	}
}

// What ListBuckets cannot use is the client's mistake, and found out before
// PostgreSQL is asked.
func TestListBuckets_arguments(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	token := func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) }
	for name, values := range map[string][]string{
		"prefix":             {"\x00", "a\x00b", "\xff", "\xc3", "\xed\xa0\x80"},
		"continuation-token": {"", "!", "YWJj=", token(""), token("\x00\x00\x00"), token("\xff\xfe\xfd"), token("Upper"), token("a/b"), token(strings.Repeat("a", 64))},
		"max-buckets":        {"", "+1", "-1", "0", " 1", "1 ", "1e3", "0x1", "10001", "1_0", "99999999999999999999"},
	} {
		for _, v := range values {
			if r := tn.raw().do(t, &request{method: "GET", path: "/", query: query(name, v)}); r.status != http.StatusBadRequest || r.code() != "InvalidArgument" {
				t.Errorf("%s=%q: %d %s", name, v, r.status, r.code())
			}
		}
	}
	for _, q := range [][]string{{"prefix", "ação"}, {"prefix", "%"}, {"prefix", "UPPER"}, {"continuation-token", token("abc")}, {"max-buckets", "10000"}, {"max-buckets", "01"}} {
		if r := tn.raw().do(t, &request{method: "GET", path: "/", query: query(q...)}); r.status != http.StatusOK {
			t.Errorf("%s: %d %s", q, r.status, r.code())
		}
	}
}

// While somebody tries to delete a bucket, on whatever node: who reads or
// deletes objects notices nothing, and who writes is told to come again, never
// that there is no such bucket. When the attempt has failed all is as before.
func TestDeleteBucket_attempt(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	nodes := []*gateway{g, newGateway(t, options{beside: g, minio: g.minio})}
	tn := g.tenant()
	tn.put(t, "k", 1000)
	for _, key := range []string{"0", "1"} {
		tn.raw().do(t, &request{method: "PUT", path: "/broken/" + key, body: []byte("text")})
	}
	b, err := g.dir.Bucket(t.Context(), tn.account.ID, []byte("broken"))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.dir.BeginDeleteBucket(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	writes := []request{
		{method: "PUT", path: "/broken/new", body: []byte("text")},
		{method: "PUT", path: "/broken/copy", header: http.Header{"X-Amz-Copy-Source": {"/broken/k"}}},
		{method: "POST", path: "/broken/new", query: query("uploads", "")},
		{method: "PUT", path: "/broken/k", query: query("tagging", ""), body: []byte(`<Tagging><TagSet></TagSet></Tagging>`)},
	}
	for i, node := range nodes {
		e := &endpoint{node.addr, tn.key.KeyID, tn.key.Secret}
		for _, q := range []request{
			{method: "GET", path: "/broken/k"},
			{method: "HEAD", path: "/broken"},
			{method: "GET", path: "/broken", query: query("list-type", "2")},
			{method: "DELETE", path: fmt.Sprint("/broken/", i)},
		} {
			if r := e.do(t, &q); r.status >= 300 {
				t.Errorf("node %d: %s %s: %d %s", i, q.method, q.path, r.status, r.code())
			}
		}
		if r := e.do(t, &request{method: "GET", path: "/"}); !strings.Contains(string(r.body), "<Name>broken</Name>") {
			t.Errorf("node %d: the bucket is not listed: %s", i, r.body)
		}
		for _, q := range writes {
			if r := e.do(t, &q); r.status != http.StatusServiceUnavailable || r.code() != "SlowDown" || r.header.Get("Retry-After") != "1" {
				t.Errorf("node %d: %s %s: %d %s, Retry-After %q", i, q.method, q.path, r.status, r.code(), r.header.Get("Retry-After"))
			}
		}
		for _, method := range []string{"DELETE", "PUT"} {
			if r := e.do(t, &request{method: method, path: "/broken"}); r.status != http.StatusConflict || r.code() != "OperationAborted" {
				t.Errorf("node %d: %s: %d %s", i, method, r.status, r.code())
			}
		}
	}
	if err := g.dir.RestoreBucket(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for i, node := range nodes {
		e := &endpoint{node.addr, tn.key.KeyID, tn.key.Secret}
		testenv.WaitFor(t, fmt.Sprintf("node %d to write again", i), func() bool {
			return e.do(t, &writes[0]).status == http.StatusOK
		})
		if r := e.do(t, &request{method: "DELETE", path: "/broken"}); r.code() != "BucketNotEmpty" {
			t.Errorf("node %d: %d %s", i, r.status, r.code())
		}
		if r := e.do(t, &writes[0]); r.status != http.StatusOK {
			t.Errorf("node %d, after a refused deletion: %d %s", i, r.status, r.code())
		}
		testenv.WaitFor(t, "the other node's record to be restored", func() bool {
			b, err := nodes[1-i].dir.Bucket(t.Context(), tn.account.ID, []byte("broken"))
			return err == nil && !b.Deleting
		})
	}
}

func TestCreateBucket_tooMany(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	if err := tenancy.SetLimits(t.Context(), g.owner, tn.account.ID, &tenancy.Limits{Buckets: 2}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		status int
		code   string
	}{{"one-", 200, ""}, {"two-", 200, ""}, {"three-", 400, "TooManyBuckets"}, {"two-", 409, "BucketAlreadyOwnedByYou"}} {
		if r := tn.raw().do(t, &request{method: "PUT", path: "/" + c.name + "x"}); r.status != c.status || r.code() != c.code {
			t.Errorf("%s: %d %s", c.name, r.status, r.code())
		}
	}
}
