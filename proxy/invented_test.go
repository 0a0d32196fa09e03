package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// unlisted is a directory that knows without asking PostgreSQL that nobody has
// the names which this test invents: a million questions would be its test.
type unlisted struct{ proxy.Directory }

func (u unlisted) Identity(ctx context.Context, keyID []byte) (*tenancy.Identity, error) {
	if bytes.HasPrefix(keyID, []byte("INVENTED")) {
		return nil, tenancy.ErrKeyUnknown
	}
	return u.Directory.Identity(ctx, keyID)
}

func (u unlisted) AccountByName(ctx context.Context, name []byte) (*tenancy.Account, error) {
	if bytes.HasPrefix(name, []byte("invented")) {
		return nil, tenancy.ErrAccountUnknown
	}
	return u.Directory.AccountByName(ctx, name)
}

func (u unlisted) AccountByDomain(context.Context, []byte) (*tenancy.Account, error) {
	return nil, tenancy.ErrAccountUnknown
}

func (u unlisted) Bucket(ctx context.Context, account tenancy.ID, name []byte) (*tenancy.Bucket, error) {
	if bytes.HasPrefix(name, []byte("invented")) {
		return nil, tenancy.ErrBucketUnknown
	}
	return u.Directory.Bucket(ctx, account, name)
}

func (u unlisted) BucketForAnyone(ctx context.Context, account tenancy.ID, name []byte) (*tenancy.Bucket, error) {
	return u.Bucket(ctx, account, name)
}

// inventor writes requests with names that nobody has.
type inventor struct {
	tn      *tenant
	signing *sigv4.SigningKey
	now     time.Time
	buf     []byte
}

// request is the nth of one of the ways to invent a name.
func (v *inventor) request(n int) []byte {
	number := strconv.Itoa(n)
	account := v.tn.account.Name + ".tenants.example.test"
	switch n % 8 {
	case 0: // a key id as imported ones may be
		return v.signed("s3.example.test", "/bucket/k", "INVENTED"+number, false)
	case 1: // a key id in the form of those that are issued here
		id := []byte(v.tn.key.KeyID)
		for i := range 5 {
			id[6+i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[n>>(5*i)&31]
		}
		return v.signed("s3.example.test", "/bucket/k", string(id), false)
	case 2: // a bucket of a known key
		return v.signed("s3.example.test", "/invented-"+number+"/k", v.tn.key.KeyID, true)
	case 3: // the same, and the signature is wrong
		return v.signed("s3.example.test", "/invented-"+number+"/k", v.tn.key.KeyID, false)
	case 4: // an account
		return v.unsigned("invented-"+number+".tenants.example.test", "/bucket/k")
	case 5: // a domain
		return v.unsigned("www."+number+".invented.test", "/bucket/k")
	case 6: // a bucket of a known account
		return v.unsigned(account, "/invented-"+number+"/k")
	default: // an operation
		return v.changing(account, "/bucket/k?invented-"+number)
	}
}

func (v *inventor) unsigned(host, target string) []byte {
	v.buf = append(v.buf[:0], "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"...)
	return v.buf
}

func (v *inventor) changing(host, target string) []byte {
	v.buf = append(v.buf[:0], "DELETE "+target+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"...)
	return v.buf
}

func (v *inventor) signed(host, path, id string, right bool) []byte {
	date := v.now.Format("20060102T150405Z")
	authorization := "AWS4-HMAC-SHA256 Credential=" + id + "/" + date[:8] + "/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=" + strings.Repeat("0", 64)
	if right {
		r := sigv4.Request{Method: []byte("GET"), Target: &sigv4.Target{Path: []byte(path)}, Headers: []sigv4.Header{
			{Name: []byte("host"), Value: []byte(host)}, {Name: []byte("x-amz-content-sha256"), Value: []byte("UNSIGNED-PAYLOAD")}, {Name: []byte("x-amz-date"), Value: []byte(date)}}}
		authorization = string(sigv4.AppendAuthorization(nil, &r, id, v.signing, []byte("UNSIGNED-PAYLOAD"), v.now))
	}
	v.buf = append(v.buf[:0], "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nx-amz-date: "+date+"\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\nAuthorization: "+authorization+"\r\n\r\n"...)
	return v.buf
}

// A million requests with invented names go through every stage to the
// ledger, which grows by a handful of cells.
func TestInventedNames(t *testing.T) {
	t.Parallel()
	const requests, cells = 1_000_000, 10
	g := newGateway(t, options{})
	tn := g.tenant()
	server, err := proxy.New(proxy.Config{Directory: unlisted{g.dir}, Meter: g.meter, MAC: g.keyring.MAC, Hosts: []string{"s3.example.test"}, TenantDomain: "tenants.example.test"})
	if err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		conn, _ := testenv.TCPPair(t)
		a, err := server.NewAdmission(conn, func(*fasthttp.Request) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().UTC()
		v := &inventor{tn: tn, now: now, signing: sigv4.NewSigningKey(tn.key.Secret, now.Format("20060102"), "us-east-1")}
		asking.Go(func() {
			wire := bytes.NewReader(nil)
			r := bufio.NewReaderSize(wire, 16<<10)
			for n := w; n < requests; n += workers {
				wire.Reset(v.request(n))
				r.Reset(wire)
				want := [...]int{403, 403, 404, 403, 421, 421, 404, 501}[n%8]
				if status, err := a.Answer(r); err != nil || status != want {
					t.Errorf("%s: %d, %v; wanted %d", v.buf, status, err, want)
					return
				}
			}
		})
	}
	asking.Wait()
	if err := g.meter.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rows, counted int64
	if err := g.owner.QueryRow(t.Context(), `SELECT count(*), sum(requests)::bigint FROM usage_readings`).Scan(&rows, &counted); err != nil {
		t.Fatal(err)
	}
	if rows > cells || counted != requests {
		t.Errorf("%d requests with invented names are counted in %d cells, as %d", requests, rows, counted)
	}
	t.Logf("%d requests, %d cells", counted, rows)
}
