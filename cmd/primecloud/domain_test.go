package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/primecloudpro/primecloud/domains"
	"github.com/primecloudpro/primecloud/domains/dnstest"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// withDomains says to commands what the installation's settings are to customers' domains.
func (in *installation) withDomains(dns *dnstest.Server) (settings []string) {
	settings = []string{"PRIMECLOUD_DOMAINS_TARGET=edge.platform.test", "PRIMECLOUD_DOMAINS_RESOLVER=" + dns.Addr, "PRIMECLOUD_S3_HOSTS=s3.platform.test"}
	in.env = append(in.env, settings...)
	return settings
}

// From `domain add` to an S3 client that uses the customer's own host: the worker finds
// the records by itself, and the gateway serves the host until it is removed.
func TestDomain(t *testing.T) {
	t.Parallel()
	in, dns := install(t), dnstest.New(t)
	settings := in.withDomains(dns)
	in.must("account", "create", "acme")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	in.must("bucket", "create", "acme", "photos")
	added := decode[domains.Domain](t, in.must("domain", "add", "acme", "s3.customer.test", "--purpose", "s3", "--json"))
	if len(added.Records) != 2 || added.Records[0].Type != "TXT" || added.Records[0].Name != "_primecloud.s3.customer.test" || added.Records[1].Type != "CNAME" || added.Records[1].Value != "edge.platform.test" {
		t.Fatalf("%+v", added)
	}
	for _, r := range added.Records {
		dns.Set(t, r.Name, r.Type+" "+r.Value+map[string]string{"CNAME": "."}[r.Type])
	}
	p := in.serveOn(t.TempDir(), settings...)
	show := func() domains.Domain {
		return decode[domains.Domain](t, in.must("domain", "show", "s3.customer.test", "--json"))
	}
	testenv.WaitFor(t, "the worker to verify it", func() bool { return show().Ownership.State == domains.Verified })
	if d := show(); d.DNS.State != domains.OK || d.Certificate.State != domains.None || d.Certificate.Reason == "" {
		t.Errorf("%+v", d)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", p.addrs.S3)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	c := s3.New(s3.Options{BaseEndpoint: aws.String("http://s3.customer.test"), Region: "us-east-1", HTTPClient: &http.Client{Transport: transport}, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(k.KeyID, k.Secret, "")}) // with the bucket in front of the host
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("photos"), Key: aws.String("k"), Body: strings.NewReader("hello")}); err != nil {
		t.Fatal(err)
	}
	presigned, err := s3.NewPresignClient(c).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("photos"), Key: aws.String("k")}, func(o *s3.PresignOptions) {
		o.ClientOptions = append(o.ClientOptions, func(o *s3.Options) { o.UsePathStyle = true })
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func() (int, string) {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, presigned.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: transport}).Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if status, body := get(); status != http.StatusOK || body != "hello" || !strings.HasPrefix(presigned.URL, "http://s3.customer.test/photos/k?") {
		t.Errorf("%s: %d %s", presigned.URL, status, body)
	}
	in.must("domain", "remove", "s3.customer.test")
	testenv.WaitFor(t, "the host to be nobody's", func() bool { status, _ := get(); return status == http.StatusMisdirectedRequest })
}

// What an operator reads of domains that are not in order.
func TestDomain_commands(t *testing.T) {
	t.Parallel()
	in, dns := install(t), dnstest.New(t)
	in.must("account", "create", "acme")
	in.must("account", "create", "other")
	if _, err := in.run("domain", "add", "acme", "s3.customer.test", "--purpose", "s3"); err == nil || !strings.HasPrefix(err.Error(), "domains.target is not set: set PRIMECLOUD_DOMAINS_TARGET") {
		t.Errorf("without a target: %v", err)
	}
	in.withDomains(dns)
	in.must("domain", "add", "acme", "s3.customer.test", "--purpose", "s3")
	in.must("domain", "add", "other", "s3.customer.test", "--purpose", "portal")
	in.must("domain", "add", "acme", "www.customer.test", "--purpose", "website", "--bucket", "photos")
	if list := decode[[]domains.Domain](t, in.must("domain", "list", "--account", "acme", "--json")); len(list) != 2 || list[1].Bucket != "photos" || list[1].Purpose != domains.Website {
		t.Errorf("%+v", list)
	}
	for _, c := range []struct{ args, want string }{
		{"add acme x.customer.test", "missing flags: --purpose=PURPOSE; `primecloud domain add --help` says what there is"},
		{"add acme x.customer.test --purpose mail", `--purpose: there is no purpose "mail"; write s3, website or portal`},
		{"add acme x.s3.platform.test --purpose s3", "x.s3.platform.test is a name of the platform itself; add a host of your own."},
		{"add acme edge.platform.test --purpose s3", "edge.platform.test is a name of the platform itself; add a host of your own."},
		{"add nobody x.customer.test --purpose s3", "there is no account \"nobody\"; `primecloud account list` shows those there are"},
		{"show s3.customer.test", "2 accounts have claimed s3.customer.test and none has proven it: say which with --account"},
		{"show nothing.customer.test", "no such domain: `primecloud domain list` shows those that there are"},
		{"remove nothing.customer.test", "no such domain: `primecloud domain list` shows those that there are"},
		{"remove nothing.customer.test --release", "no such domain: `primecloud domain list` shows those that there are"},
		{"verify s3.customer.test --account acme", "s3.customer.test is not proven: There is no TXT record _primecloud.s3.customer.test."},
	} {
		if _, err := in.run(append([]string{"domain"}, strings.Fields(c.args)...)...); err == nil || err.Error() != c.want {
			t.Errorf("domain %s: %v, want %s", c.args, err, c.want)
		}
	}
	dns.Set(t, "s3.customer.test", "CNAME edge.x.evil.test.")
	out, err := in.run("domain", "verify", "s3.customer.test", "--account", "acme")
	for _, want := range []string{"dns          wrong    The CNAME record points at edge.x.evil.test and not at edge.platform.test.", "expected  CNAME  s3.customer.test", "found     CNAME  s3.customer.test", `"edge.x.evil.test"`} {
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%q is not in: %v\n%s", want, err, out)
		}
	}
	// Nobody answers: one sentence says so, and nothing has changed.
	in.env = append(in.env, "PRIMECLOUD_DOMAINS_RESOLVER=127.0.0.9:1")
	out, err = in.run("domain", "verify", "s3.customer.test", "--account", "acme")
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "the name servers gave no answer") || !strings.Contains(out, "dns          wrong") {
		t.Errorf("%v\n%s", err, out)
	}
}
