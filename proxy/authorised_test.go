package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/tenancy"
)

// What was authorised is what the backend is asked for, to the byte: a name is
// decoded once and encoded once, whatever it looks like in between.
func TestAuthorised_isSent(t *testing.T) {
	t.Parallel()
	const version = "c4ca4238-a0b9-2382-0dcc-509a6f75849b"
	b := newBoundary(t)
	b.tn.key = b.tn.newKey(tenancy.Key{})
	b.tn.raw().must(t, &request{method: "PUT", path: "/another-bucket"})
	<-b.records
	names := strings.NewReplacer("{boundary}", b.backend, "{another}", backendNameOf(t, b.tn, "another-bucket"))
	b.rec.take(t)
	send := func(method uint8, target, lines string) (string, *recorded) {
		t.Helper()
		c := newSent(byHeader, method, target, lines, nil)
		status, _ := b.exchange(t, c.method, b.wire(t, c))
		what := fmt.Sprintf("%s %s, %s", c.method, target, lines)
		arrived := b.rec.take(t)
		if len(arrived) != 1 || arrived[0].fault != nil || status >= 300 {
			t.Errorf("%s: answered %d, %d requests arrived", what, status, len(arrived))
			return what, &recorded{}
		}
		return what, arrived[0]
	}
	for target, want := range map[string]string{
		"boundary/dir/k":                       "/{boundary}/dir/k",
		"boundary/%61%2fb":                     "/{boundary}/a/b",
		"boundary/a%2541":                      "/{boundary}/a%2541",
		"boundary/a%25252e":                    "/{boundary}/a%25252e",
		"boundary/%252e%252e/another-bucket/k": "/{boundary}/%252e%252e/another-bucket/k",
		"boundary/a+b%20c%2Bd":                 "/{boundary}/a%2Bb%20c%2Bd",
		"boundary/%C3%A9%3Fa%3Db%26c%23":       "/{boundary}/%C3%A9%3Fa%3Db%26c%23",
		"boundary/another-bucket/k":            "/{boundary}/another-bucket/k",
		"another-bucket/boundary":              "/{another}/boundary",
	} {
		for _, method := range []uint8{mGET, mHEAD, mPUT, mDELETE} {
			if what, got := send(method, target, ""); got.target != names.Replace(want) {
				t.Errorf("%s: %s arrived", what, got.target)
			}
			if method == mPUT {
				continue // S3 takes no version there
			}
			if what, got := send(method, target+"?versionId="+version, ""); got.target != names.Replace(want)+"?versionId="+version {
				t.Errorf("%s: %s arrived", what, got.target)
			}
		}
	}
	for source, want := range map[string]string{
		"boundary/a%2541":                             "{boundary}/a%2541",
		"/another-bucket/k%2Bl":                       "{another}/k%2Bl",
		"another-bucket%2Fa%20b?versionId=" + version: "{another}/a%20b?versionId=" + version,
		"another-bucket/%3FversionId=" + version:      "{another}/%3FversionId%3D" + version,
	} {
		for _, target := range []string{"boundary/dir/k", "boundary/dir/k?partNumber=1&uploadId=" + b.upload} {
			if what, got := send(mPUT, target, "x-amz-copy-source: "+source); got.header["x-amz-copy-source"] != names.Replace(want) {
				t.Errorf("%s: %s arrived", what, got.header["x-amz-copy-source"])
			}
		}
	}
}

// Nobody is taken for somebody whose secret he has not: every operation, in each
// way to sign it. The backend is not asked.
func TestAuthenticated(t *testing.T) {
	t.Parallel()
	g := newWatched(t, options{})
	tn, other := g.tenant(), g.tenant()
	for _, owner := range []*tenant{tn, other} {
		owner.raw().must(t, &request{method: "PUT", path: "/" + isolated})
	}
	ended := tn.newKey(tenancy.Key{})
	if err := tenancy.RevokeKey(t.Context(), g.owner, ended.KeyID); err != nil {
		t.Fatal(err)
	}
	hostsOfOther := []string{other.account.Name + ".tenants.example.test", other.ownDomain("s3.other.customer.test", "s3")}
	impostors := map[string]struct {
		e    endpoint
		code string
	}{
		"another's secret":   {endpoint{g.addr, tn.key.KeyID, other.key.Secret}, "SignatureDoesNotMatch"},
		"another's id":       {endpoint{g.addr, other.key.KeyID, tn.key.Secret}, "SignatureDoesNotMatch"},
		"a key that ended":   {endpoint{g.addr, ended.KeyID, ended.Secret}, "InvalidAccessKeyId"},
		"an id of nobody":    {endpoint{g.addr, "AKIANOBODY", tn.key.Secret}, "InvalidAccessKeyId"},
		"a secret too short": {endpoint{g.addr, tn.key.KeyID, tn.key.Secret[:1]}, "SignatureDoesNotMatch"},
	}
	g.asked()
	refused := func(what string, q *request, e *endpoint, code string) {
		t.Helper()
		if r := e.do(t, q); r.status != 403 || q.method != "HEAD" && r.code() != code {
			t.Errorf("%s: %d %s, not %s", what, r.status, r.code(), code)
		}
	}
	for _, op := range s3op.Operations {
		if op.Body == s3op.Form {
			continue
		}
		for _, q := range attempts(&victim{upload: "none"}, op) {
			what := fmt.Sprintf("%s, presigned %v", op.Name, q.presign)
			for name, i := range impostors {
				refused(what+", "+name, &q, &i.e, i.code)
			}
			for _, q.host = range hostsOfOther {
				refused(what+", on another account's host "+q.host, &q, tn.raw(), "AccessDenied")
			}
		}
	}
	fields := map[string]string{"key": "form"}
	for name, i := range impostors {
		q := formRequest(t, isolated, signForm(t, i.e.id, i.e.secret, fields, isolated), "x")
		refused("a form, "+name, &q, &i.e, i.code)
	}
	q := formRequest(t, isolated, signForm(t, tn.key.KeyID, tn.key.Secret, fields, isolated), "x")
	for _, q.host = range append(hostsOfOther, isolated+"."+hostsOfOther[0], isolated+"."+hostsOfOther[1]) {
		if strings.HasPrefix(q.host, isolated) {
			q.path = "/"
		}
		refused("a form, on another account's host "+q.host, &q, tn.raw(), "AccessDenied")
	}
	if seen := g.asked(); len(seen) > 0 {
		t.Errorf("the backend was asked: %.300q", seen)
	}
}
