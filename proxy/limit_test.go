package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/tenancy"
)

// limit sets what limits the tenant, and waits until every node has heard of it.
func (tn *tenant) limit(t testing.TB, l tenancy.Limits, nodes ...*gateway) {
	t.Helper()
	if err := tenancy.SetLimits(t.Context(), tn.g.owner, tn.account.ID, &l); err != nil {
		t.Fatal(err)
	}
	want, err := l.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range append(nodes, tn.g) {
		testenv.WaitFor(t, "the limits to be heard of", func() bool {
			a, err := g.dir.Account(t.Context(), tn.account.ID)
			if err != nil || (a.Limits == nil) != l.None() {
				return false
			}
			if a.Limits == nil {
				return true
			}
			got, err := a.Limits.MarshalJSON()
			return err == nil && bytes.Equal(got, want)
		})
	}
}

func hardCap(b tenancy.Budget, amount int64) (l tenancy.Limits) {
	l.Caps[b] = &tenancy.Cap{Amount: amount}
	return l
}

// refusal is an error as an SDK's user sees it.
func refusal(err error) (code string, status int, retryAfter string) {
	var api smithy.APIError
	var resp *smithyhttp.ResponseError
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	if errors.As(err, &resp) {
		status, retryAfter = resp.HTTPStatusCode(), resp.Response.Header.Get("Retry-After")
	}
	return code, status, retryAfter
}

// Three nodes, one hard budget, 200 downloads at once: what sockets took is
// never more than the budget, and nearly all of it. It begins anew when it is
// raised.
func TestLimits_cap(t *testing.T) {
	t.Parallel()
	first := newGateway(t, options{})
	nodes := []*gateway{first, newGateway(t, options{beside: first}), newGateway(t, options{beside: first})}
	tn := first.tenant()
	const object = 512 << 10
	tn.put(t, "k", object)
	const budget = 60*object + 1000
	tn.limit(t, hardCap(tenancy.Egress, budget), nodes[1:]...)
	var received, complete atomic.Int64
	var renewing sync.Mutex
	load := func(clients int) {
		var working sync.WaitGroup
		for i := range clients {
			working.Go(func() {
				c := nodes[i%3].s3(tn.key)
				for {
					out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("broken"), Key: aws.String("k")})
					if err == nil {
						n, err := io.Copy(io.Discard, out.Body)
						received.Add(n)
						if err != nil || n != object {
							t.Errorf("%d bytes, %v", n, err)
						}
						complete.Add(1)
						return
					}
					switch code, status, _ := refusal(err); {
					case code == "QuotaExceeded" && status == http.StatusForbidden:
						return
					case status != http.StatusServiceUnavailable: // SlowDown, or a lease that takes long on a busy machine
						t.Error(code, err)
						return
					}
					// What Retry-After would wait for, once for all who wait.
					if renewing.TryLock() {
						for _, g := range nodes {
							g.limiter.Renew(t.Context())
						}
					} else {
						renewing.Lock()
					}
					renewing.Unlock()
				}
			})
		}
		working.Wait()
	}
	egress := func() (sum int64) {
		for _, g := range nodes {
			sum = usageBy(t, g, tn, ledger.ByClass)["B"].Egress
		}
		return sum
	}
	load(200)
	testenv.WaitFor(t, "the ledger to have it all", func() bool { return egress() == received.Load() })
	// Each node may be left with less than an object.
	unused := int64(len(nodes)) * object
	if got := received.Load(); got > budget || got < budget-unused {
		t.Errorf("clients received %d bytes of a budget of %d, %d objects", got, int64(budget), complete.Load())
	}
	// Its refusal is free, whatever is asked for, and deletes still work.
	testenv.WaitFor(t, "every node to know that it is used up", func() bool {
		for _, g := range nodes {
			g.limiter.Renew(t.Context())
		}
		res := tn.raw().do(t, &request{method: "GET", path: "/broken/k"})
		return res.code() == "QuotaExceeded" && res.status == http.StatusForbidden &&
			strings.Contains(string(res.body), "egress budget for "+time.Now().UTC().Format("2006-01"))
	})
	if res := tn.raw().do(t, &request{method: "GET", path: "/no-such-bucket/k"}); res.code() == "NoSuchBucket" && len(res.body) > 1000 || res.status == http.StatusOK {
		t.Errorf("%d %s", res.status, res.body)
	}
	tn.limit(t, hardCap(tenancy.Egress, budget+10*object), nodes[1:]...)
	load(30)
	testenv.WaitFor(t, "the ledger to have it all", func() bool { return egress() >= received.Load() })
	if got := egress(); got > budget+10*object || got < budget+10*object-unused {
		t.Errorf("after raising it: %d of %d", got, int64(budget+10*object))
	}
	if res := tn.raw().do(t, &request{method: "DELETE", path: "/broken/k"}); res.status != http.StatusNoContent {
		t.Errorf("a delete: %d %s", res.status, res.body)
	}
	// The ledger is read every few seconds: alerts come then.
	testenv.WaitFor(t, "each alert, once", func() bool {
		for _, g := range nodes {
			if err := g.limiter.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		events, err := limits.Events(t.Context(), first.owner, tn.account.ID, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for _, e := range events {
			seen[fmt.Sprint(e.Name, e.Threshold)]++
		}
		return maps.Equal(seen, map[string]int{"egress50": 1, "egress80": 1, "egress95": 1, "egress100": 1})
	})
}

// What is refused, as aws-sdk-go-v2 sees it.
func TestLimits_refusals(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	tn.put(t, "k", 100_000)
	get := func() error {
		out, err := tn.s3().GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("broken"), Key: aws.String("k")})
		if err == nil {
			_, _ = io.Copy(io.Discard, out.Body)
			_ = out.Body.Close()
		}
		return err
	}
	put := func() error {
		_, err := tn.s3().PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("broken"), Key: aws.String("p"), Body: bytes.NewReader(make([]byte, 1000))})
		return err
	}
	want := func(what string, err error, wantCode string, wantStatus int) {
		t.Helper()
		code, status, retry := refusal(err)
		if code != wantCode || status != wantStatus || (status == 503) != (retry != "") || retry == "0" {
			t.Errorf("%s: %s %d, Retry-After %q: %v", what, code, status, retry, err)
		}
	}
	tn.limit(t, hardCap(tenancy.Egress, 99_999))
	want("an object larger than the egress budget", get(), "QuotaExceeded", 403)
	if err := put(); err != nil {
		t.Errorf("an upload within an egress budget: %v", err)
	}
	tn.limit(t, hardCap(tenancy.Storage, 999))
	want("an upload beyond the quota", put(), "QuotaExceeded", 403)
	_, err := tn.s3().CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String("broken"), Key: aws.String("c"), CopySource: aws.String("broken/k")})
	want("a copy beyond the quota", err, "QuotaExceeded", 403)
	up, err := tn.s3().CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("broken"), Key: aws.String("m")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tn.s3().UploadPart(t.Context(), &s3.UploadPartInput{Bucket: aws.String("broken"), Key: aws.String("m"), UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(make([]byte, 1000))})
	want("a part beyond the quota", err, "QuotaExceeded", 403)
	_, err = tn.s3().UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{Bucket: aws.String("broken"), Key: aws.String("m"), UploadId: up.UploadId, PartNumber: aws.Int32(1),
		CopySource: aws.String("broken/k"), CopySourceRange: aws.String("bytes=0-999")})
	want("a part copied beyond the quota", err, "QuotaExceeded", 403)
	if _, err = tn.s3().UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{Bucket: aws.String("broken"), Key: aws.String("m"), UploadId: up.UploadId, PartNumber: aws.Int32(1),
		CopySource: aws.String("broken/k"), CopySourceRange: aws.String("bytes=0-499")}); err != nil {
		t.Errorf("a part copied within the quota: %v", err)
	}
	if err := get(); err != nil {
		t.Errorf("a download with the quota full: %v", err)
	}
	tn.limit(t, tenancy.Limits{RequestsPerSecond: 1})
	err = nil
	for err == nil {
		err = get()
	}
	want("too many requests", err, "SlowDown", 503)
	usageBy(t, g, tn, ledger.ByClass) // what is in the ledger counts
	l := hardCap(tenancy.Requests, 1)
	l.Concurrent = 5
	tn.limit(t, l)
	want("requests beyond the budget", get(), "QuotaExceeded", 403)
	if all := usageBy(t, g, tn, ledger.ByClass)["unbilled"]; all.Requests == 0 || all.Egress == 0 {
		t.Errorf("refusals are unbilled, with their bodies: %+v", all)
	}
}

// An upload that does not fit is refused before its body is asked for.
func TestLimits_expect(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	tn.put(t, "k", 1)
	tn.limit(t, hardCap(tenancy.Storage, 1000))
	before := usageBy(t, g, tn, ledger.ByClass)["A"].Ingress
	nc, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	r := tn.raw().build(t, &request{method: "PUT", path: "/broken/large", payload: "UNSIGNED-PAYLOAD", header: http.Header{"Expect": {"100-continue"}}, body: make([]byte, 1001)})
	if err := writeHead(nc, r); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := nc.Read(answer)
	if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 403 ") {
		t.Errorf("%q, %v", answer[:n], err)
	}
	if in := usageBy(t, g, tn, ledger.ByClass)["A"].Ingress - before; in != 0 {
		t.Errorf("%d bytes were read", in)
	}
}

// writeHead sends a request without its body.
func writeHead(w io.Writer, r *http.Request) error {
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		return err
	}
	head, _, _ := bytes.Cut(wire.Bytes(), []byte("\r\n\r\n"))
	_, err := w.Write(append(head, "\r\n\r\n"...))
	return err
}

// What a request holds is given back exactly once, however it ends.
func TestLimits_released(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	const size = 8 << 20
	tn.put(t, "k", size)
	other := tn.newKey(tenancy.Key{Permissions: []string{"list"}})
	l := hardCap(tenancy.Egress, 1<<40)
	l.Caps[tenancy.Storage] = &tenancy.Cap{Amount: 1 << 30}
	l.Concurrent = 64
	tn.limit(t, l)
	var working sync.WaitGroup
	for i := range 48 {
		working.Go(func() {
			switch i % 6 {
			case 0: // to the end
				tn.raw().do(t, &request{method: "GET", path: "/broken/k"})
			case 1: // the client leaves
				nc, resp := tn.raw().download(t, "/broken/k")
				_, _ = io.CopyN(io.Discard, resp.Body, 1<<20)
				_ = nc.Close()
			case 2: // an upload is cut
				nc, err := net.Dial("tcp", g.addr)
				if err != nil {
					t.Error(err)
					return
				}
				r := tn.raw().build(t, &request{method: "PUT", path: "/broken/half", payload: "UNSIGNED-PAYLOAD", body: make([]byte, size)})
				r.Body = io.NopCloser(io.LimitReader(r.Body, 1<<20))
				_ = r.Write(nc)
				_ = nc.Close()
			case 3: // refused with an answer that is billed
				tn.raw().do(t, &request{method: "GET", path: "/broken/no-such-key"})
			case 4: // refused before it was admitted
				(&endpoint{g.addr, other.KeyID, other.Secret}).do(t, &request{method: "GET", path: "/broken/k"})
			case 5: // deletes, and permission to send a body that never comes
				doc := []byte(`<Delete><Object><Key>none</Key></Object></Delete>`)
				tn.raw().do(t, &request{method: "POST", path: "/broken", query: url.Values{"delete": {""}}, body: doc, header: http.Header{"Content-Md5": {contentMD5(doc)}}})
				nc, err := net.Dial("tcp", g.addr)
				if err != nil {
					t.Error(err)
					return
				}
				r := tn.raw().build(t, &request{method: "PUT", path: "/broken/never", payload: "UNSIGNED-PAYLOAD", header: http.Header{"Expect": {"100-continue"}}, body: make([]byte, 10)})
				if err := writeHead(nc, r); err != nil {
					t.Error(err)
				}
				_ = nc.Close()
			}
		})
	}
	working.Wait()
	status := map[string]limits.Status{}
	testenv.WaitFor(t, "everything to be given back", func() bool {
		g.limiter.Renew(t.Context())
		if err := g.meter.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := limits.Report(t.Context(), g.owner, nil, tn.account.ID, tenancy.ID{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		held := int64(0)
		for _, s := range list {
			status[s.Name] = s
			held += s.Leased
		}
		return g.limiter.Active() == 0 && held == 0
	})
	if s := status["storage"]; s.Used != 0 {
		t.Errorf("stored, as far as leases know: %d", s.Used)
	}
	// Every slot is free again, and no more than there are.
	tn.limit(t, tenancy.Limits{Concurrent: 1})
	if res := tn.raw().do(t, &request{method: "GET", path: "/broken/k"}); res.status != http.StatusOK {
		t.Errorf("%d %s: %s", res.status, res.body, g.log.of(tn.account.Name))
	}
}

// A body is paced by waits between its steps, in both directions, a form's file
// too; the waits do not make the client look slow.
func TestLimits_pacing(t *testing.T) {
	t.Parallel()
	c := &stepClock{at: time.Now()}
	g := newGateway(t, options{limit: limits.Config{Now: c.now, Sleep: c.sleep, MaxDebt: time.Hour}})
	tn := g.tenant()
	const size, rate = 4 << 20, 1 << 20
	data := tn.put(t, "k", size)
	tn.limit(t, tenancy.Limits{DownloadRate: rate, UploadRate: rate})
	for _, way := range []struct {
		name string
		move func() bool
	}{
		{"a download", func() bool {
			return bytes.Equal(tn.raw().do(t, &request{method: "GET", path: "/broken/k"}).body, data)
		}},
		{"an upload", func() bool {
			return tn.raw().do(t, &request{method: "PUT", path: "/broken/up", body: data, payload: "UNSIGNED-PAYLOAD"}).status == http.StatusOK
		}},
		{"a form", func() bool {
			return postForm(t, tn, "broken", map[string]string{"key": "form"}, "broken", string(data)).status == http.StatusNoContent
		}},
	} {
		_ = c.sleep(t.Context(), time.Minute) // what was moved before is paid for
		before := c.total()
		if !way.move() {
			t.Errorf("%s: %s", way.name, g.log.of(tn.account.Name))
		}
		// One second's worth goes at once. Of what is read before the request is known nothing is.
		if waited := c.total() - before; waited < 2*time.Second || waited > 4*time.Second {
			t.Errorf("%s of 4 s worth was held back for %s", way.name, waited)
		}
	}
}

// stepClock is a time that only sleeping moves.
type stepClock struct {
	mu    sync.Mutex
	at    time.Time
	slept time.Duration
}

func (c *stepClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at.Add(c.slept)
}

func (c *stepClock) sleep(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slept += d
	return nil
}

func (c *stepClock) total() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slept
}

// Anonymous reads are the bucket owner's, an internal key's its account's, and a
// form is held to the budgets of the account that has signed it.
func TestLimits_whose(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::broken/*"]}]}`
	soon := time.Now().Add(time.Hour)
	want := func(what string, r *reply, status int) {
		t.Helper()
		if r.status != status || status == http.StatusForbidden && r.code() != "QuotaExceeded" {
			t.Errorf("%s: %d %s, want %d", what, r.status, r.body, status)
		}
	}
	for what, read := range map[string]func(*tenant) *reply{
		"an anonymous read": func(tn *tenant) *reply {
			return tn.raw().do(t, &request{method: "GET", path: "/broken/k", host: tn.account.Name + ".tenants.example.test", anonymous: true})
		},
		"an internal key's": func(tn *tenant) *reply {
			k := tn.newKey(tenancy.Key{Kind: tenancy.KindPortal, ExpiresAt: &soon})
			return (&endpoint{g.addr, k.KeyID, k.Secret}).do(t, &request{method: "GET", path: "/broken/k"})
		},
	} {
		tn := g.tenant()
		tn.put(t, "k", 1000)
		tn.raw().must(t, &request{method: "PUT", path: "/broken", query: query("policy", ""), body: []byte(policy)})
		tn.limit(t, hardCap(tenancy.Egress, 1500))
		want(what, read(tn), http.StatusOK)
		want(what+", with the budget used up", read(tn), http.StatusForbidden)
	}

	tn := g.tenant()
	tn.put(t, "k", 1)
	post := func(size int) *reply {
		return postForm(t, tn, "broken", map[string]string{"key": "form"}, "broken", strings.Repeat("f", size))
	}
	tn.limit(t, hardCap(tenancy.Storage, 1000))
	want("a form beyond the quota", post(1001), http.StatusForbidden)
	want("a form within it", post(1000), http.StatusNoContent)
	want("a form with the quota full", post(1), http.StatusForbidden)
	usageBy(t, g, tn, ledger.ByClass) // what is in the ledger counts
	tn.limit(t, hardCap(tenancy.Requests, 1))
	want("a form beyond the request budget", post(1), http.StatusForbidden)
	tn.limit(t, tenancy.Limits{RequestsPerSecond: 1})
	testenv.WaitFor(t, "a form to be one too many in a second", func() bool {
		r := post(1)
		return r.status == http.StatusServiceUnavailable && r.code() == "SlowDown"
	})
}

// An answer whose length the backend does not say is reserved as 16 KiB.
func TestLimits_unknownLength(t *testing.T) {
	t.Parallel()
	b := newBoundary(t)
	const answer = "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>"
	b.rec.answers(func(*recorded) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(answer), answer)
	})
	doc := []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"e"</ETag></Part></CompleteMultipartUpload>`)
	for _, c := range []struct {
		budget int64
		status int
	}{{16<<10 - 1, http.StatusForbidden}, {16 << 10, http.StatusOK}} {
		b.tn.limit(t, hardCap(tenancy.Egress, c.budget))
		q := newSent(byHeader, mPOST, boundaryBucket+"/"+boundaryKey+"?uploadId="+b.upload, "", doc)
		status, record := b.exchange(t, q.method, b.wire(t, q))
		b.rec.take(t)
		if status != c.status {
			t.Errorf("with a budget of %d: %d %s, want %d", c.budget, status, record.ErrorCode, c.status)
		}
	}
}

// A copy under a hard storage quota asks for its source first, and no other does:
// what that answer said is not in the line of the copy.
func TestLimits_copyLine(t *testing.T) {
	t.Parallel()
	b := newBoundary(t)
	soft := hardCap(tenancy.Storage, 1<<20)
	soft.Caps[tenancy.Storage].Soft = true
	for _, l := range []tenancy.Limits{{}, soft, {Concurrent: 100}} {
		b.tn.limit(t, l)
		c := newSent(byHeader, mPUT, boundaryBucket+"/"+boundaryKey, "x-amz-copy-source: "+boundaryBucket+"/source", nil)
		b.exchange(t, c.method, b.wire(t, c))
		if arrived := b.rec.take(t); len(arrived) != 1 || arrived[0].method != "PUT" {
			t.Errorf("without a hard quota %d requests arrived", len(arrived))
		}
	}
	b.tn.limit(t, hardCap(tenancy.Storage, 1<<20))
	c := newSent(byHeader, mPUT, boundaryBucket+"/"+boundaryKey, "x-amz-copy-source: "+boundaryBucket+"/source", nil)
	status, record := b.exchange(t, c.method, b.wire(t, c))
	arrived := b.rec.take(t)
	if status != 200 || len(arrived) != 2 || arrived[0].method != "HEAD" || arrived[1].method != "PUT" {
		t.Fatalf("%d, %d requests arrived", status, len(arrived))
	}
	if len(record.VersionID) > 0 {
		t.Errorf("the line has the version %q, which is the source's", record.VersionID)
	}
}

// A source that is replaced between the look at its length and the copy, or
// that comes to be there, makes the copy 409, which clients try again: 412 is
// for conditions that they have set.
func TestLimits_copyChanged(t *testing.T) {
	t.Parallel()
	b := newBoundary(t)
	b.tn.limit(t, hardCap(tenancy.Storage, 1<<20))
	answer := func(status, body string) string {
		return fmt.Sprintf("HTTP/1.1 %s\r\ncontent-type: application/xml\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s", status, len(body), body)
	}
	const condition = "x-amz-copy-source-if-"
	for _, c := range []struct {
		look, lines string // of the source, "": it is there; of the client's
		status      int
		code        string
	}{
		{"", "", 409, "OperationAborted"},
		{"", condition + "none-match: \"other\"\n", 409, "OperationAborted"},
		{"", condition + "match: \"e\"\n", 412, "PreconditionFailed"},
		{"404 Not Found", "", 409, "OperationAborted"},
		{"404 Not Found", condition + "match: \"e\"\n", 412, "PreconditionFailed"},
		{"304 Not Modified", condition + "none-match: \"e\"\n", 412, "PreconditionFailed"},
		{"412 Precondition Failed", condition + "unmodified-since: Mon, 02 Jan 2006 15:04:05 GMT\n", 412, "PreconditionFailed"},
	} {
		b.rec.answers(func(q *recorded) string {
			switch {
			case q.method == "HEAD" && c.look != "":
				return answer(c.look, "")
			case q.method == "PUT":
				return answer("412 Precondition Failed", "<Error><Code>PreconditionFailed</Code></Error>")
			}
			return ""
		})
		for _, target := range []string{"boundary/dir/k", "boundary/dir/k?partNumber=1&uploadId=" + b.upload} {
			q := newSent(byHeader, mPUT, target, "x-amz-copy-source: boundary/source\n"+c.lines, nil)
			status, record := b.exchange(t, q.method, b.wire(t, q))
			if arrived := b.rec.take(t); status != c.status || record.ErrorCode != c.code || len(arrived) != 2 {
				t.Errorf("%s with %q after %q: %d %s, %d requests arrived", record.Operation, c.lines, c.look, status, record.ErrorCode, len(arrived))
			}
		}
	}
}
