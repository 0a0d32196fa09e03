package main

import (
	"bytes"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/quantity"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// slip is something that operators get wrong, and parts of what they are told.
type slip struct {
	name string
	args []string
	env  []string // instead of the installation's; nil: that
	file string   // of settings
	want []string
}

func (in *installation) checkSlip(t *testing.T, s *slip) {
	t.Helper()
	env := s.env
	if env == nil {
		env = in.env
	}
	args := s.args
	if s.file != "" {
		file := filepath.Join(t.TempDir(), "primecloud.toml")
		if err := os.WriteFile(file, []byte(s.file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"--config=" + file}, args...)
	}
	var out, errs bytes.Buffer
	err := (&cli{out: &out, err: &errs, environ: env}).run(t.Context(), args)
	if err == nil {
		t.Errorf("%s: accepted: %s", s.name, out.String())
		return
	}
	checkSentence(t, s.name, err.Error(), s.want[0])
	for _, want := range s.want {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q is not in: %v", s.name, want, err)
		}
	}
}

// replaced is an environment with one variable changed.
func replaced(environ []string, variable, value string) []string {
	list := []string{variable + "=" + value}
	for _, kv := range environ {
		if !strings.HasPrefix(kv, variable+"=") {
			list = append(list, kv)
		}
	}
	return list
}

// What cannot be read of settings, flags and arguments, by where it was written.
func TestWrongSettings(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	for _, s := range []slip{
		{name: "a duration in the file", args: []string{"account", "list"}, file: "drain_timeout = '5 minutes'", want: []string{`drain_timeout: "5 minutes"`, "5m"}},
		{name: "a number in a variable", args: []string{"account", "list"}, env: append(in.env, "PRIMECLOUD_S3_MAX_CONNECTIONS=many"), want: []string{`PRIMECLOUD_S3_MAX_CONNECTIONS: "many"`, "500"}},
		{name: "a number where a list is", args: []string{"account", "list"}, file: "[s3]\nhosts = 3", want: []string{"s3.hosts: 3", "in quotes"}},
		{name: "a key with dashes", args: []string{"account", "list"}, file: "[s3]\nmax-buckets = 3", want: []string{"s3.max-buckets", "write max_buckets in [s3]"}},
		{name: "a flag as a key", args: []string{"account", "list"}, file: "s3-addr = ':1'", want: []string{"s3-addr", "write addr in [s3]"}},
		{name: "a file that is not there", args: []string{"serve", "--config=/nowhere/x.toml"}, want: []string{"/nowhere/x.toml", "--config"}},
		{name: "a flag's value", args: []string{"serve", "--drain-timeout", "soon"}, want: []string{`--drain-timeout: "soon"`, "5m"}},
		{name: "a flag's name", args: []string{"account", "create", "x", "--dispay-name=x"}, want: []string{"--dispay-name", `did you mean "--display-name"`}},
		{name: "a flag of another command", args: []string{"account", "list", "--region=x"}, want: []string{"--region", "`primecloud account list --help`"}},
		{name: "an account's name", args: []string{"account", "show", "acmee"}, want: []string{`"acmee"`, "`primecloud account list`"}},
		{name: "an account that there is", args: []string{"account", "create", "acme"}, want: []string{`"acme"`, "another name"}},
		{name: "networks with too many bits", args: []string{"key", "create", "acme", "--cidrs=10.0.0.0/33"}, want: []string{`--cidrs: "10.0.0.0/33"`, "192.0.2.0/24"}},
		{name: "an address for a network", args: []string{"serve", "--s3-trusted-proxies=127.0.0.1"}, want: []string{`--s3-trusted-proxies: "127.0.0.1"`, "127.0.0.1/32"}},
		{name: "a budget in bytes", args: []string{"account", "limit", "acme", "--egress-budget=10"}, want: []string{`--egress-budget: "10"`, "10GiB"}},
		{name: "an end before the beginning", args: []string{"usage", "show", "--from=2026-11-28", "--to=2026-11-27"}, want: []string{"--from=2026-11-28T00:00Z", "--to=2026-11-27T00:00Z"}},
		{name: "within an hour", args: []string{"usage", "adjustments", "--from=2026-11-27T17:30Z"}, want: []string{"--from", "2026-11-27T17:00Z or 2026-11-27T18:00Z"}},
		{name: "no group", args: []string{"usage", "show", "--by=year"}, want: []string{`--by: `, `"year"`, "account, bucket"}},
		{name: "half of an import", args: []string{"key", "create", "acme", "--import-id=ABC"}, want: []string{"--import-id=ABC", "--import-secret-file"}},
		{name: "no address of PostgreSQL", args: []string{"account", "list"}, env: replaced(in.env, "PRIMECLOUD_OWNER_DATABASE_URL", "hush"), want: []string{"database.owner_url: ", "postgres://USER"}},
		{name: "nobody answers", args: []string{"account", "list"}, env: replaced(in.env, "PRIMECLOUD_OWNER_DATABASE_URL", "postgres://me:hush@127.0.0.1:1/x"), want: []string{"127.0.0.1:1 ", "connection refused", "database.owner_url"}},
		{name: "no such host", args: []string{"account", "list"}, env: replaced(in.env, "PRIMECLOUD_OWNER_DATABASE_URL", "postgres://me:hush@nowhere.invalid/x"), want: []string{"nowhere.invalid:5432", "no such host"}},
		{name: "no such database", args: []string{"account", "list"}, env: replaced(in.env, "PRIMECLOUD_OWNER_DATABASE_URL", otherDatabase(t, in.url(""), "nowhere")), want: []string{`no database "nowhere"`, "create it"}},
		{name: "before migrate", args: []string{"account", "list"}, env: replaced(in.env, "PRIMECLOUD_OWNER_DATABASE_URL", testenv.EmptyPostgres(t).URL("")), want: []string{"no schema", "`primecloud migrate`"}},
		{name: "no keyring", args: []string{"account", "list"}, env: replaced(in.env, "PRIMECLOUD_KEYRING_FILE", "/nowhere/keyring"), want: []string{"PRIMECLOUD_KEYRING_FILE", `"/nowhere/keyring"`}},
		{name: "no keyring in an argument", args: []string{"secret", "rotate", "/nowhere/keyring"}, want: []string{`"/nowhere/keyring"`, "`primecloud secret generate`"}},
	} {
		if strings.Contains(strings.Join(s.env, " "), "hush") {
			defer func() {
				if err := (&cli{environ: s.env}).run(t.Context(), s.args); strings.Contains(err.Error(), "hush") {
					t.Errorf("%s: a secret is in: %v", s.name, err)
				}
			}()
		}
		in.checkSlip(t, &s)
	}
}

// otherDatabase is a URL with another database's name.
func otherDatabase(t *testing.T, given, name string) string {
	t.Helper()
	u, err := url.Parse(given)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// Prices are refused before they reach the database.
func TestWrongSettings_rateCards(t *testing.T) {
	t.Parallel()
	in := install(t)
	hour := quantity.Hour{Time: time.Now().UTC().Add(48 * time.Hour).Truncate(time.Hour)}
	card := []string{"rates", "set", "--currency=EUR", "--from=" + hour.String()}
	in.must(card...)
	for _, s := range []slip{
		{name: "a currency", args: []string{"rates", "set", "--currency=euros"}, want: []string{`"euros"`, "EUR"}},
		{name: "no currency", args: []string{"rates", "set"}, want: []string{"--currency", "--help"}},
		{name: "the same hour", args: card, want: []string{hour.String(), "--from", quantity.Hour{Time: hour.Add(time.Hour)}.String()}},
		{name: "an hour that was", args: []string{"rates", "set", "--currency=EUR", "--from=2020-01-01"}, want: []string{"2020-01-01T00:00Z", "--from"}},
		{name: "less than nothing", args: []string{"rates", "set", "--currency=EUR", "--egress-gb=-1"}, want: []string{`--egress-gb: "-1"`, "12.50"}},
		{name: "a minus behind a space", args: []string{"rates", "set", "--currency=EUR", "--egress-gb", "-1"}, want: []string{"--egress-gb", "--egress-gb=-1"}},
	} {
		in.checkSlip(t, &s)
	}
}

// What turns out wrong only when it is used: addresses, certificates, servers.
func TestWrongSettings_used(t *testing.T) {
	t.Parallel()
	in := install(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken, dir := l.Addr().String(), t.TempDir()
	for _, pair := range []string{"a", "b"} {
		if _, err := devstack.EnsureCertificate(filepath.Join(dir, pair), "cert", "key", "localhost"); err != nil {
			t.Fatal(err)
		}
	}
	serving := append(in.env, "PRIMECLOUD_DATABASE_URL="+in.url("primecloud_gateway"), "PRIMECLOUD_WORKER_DATABASE_URL="+in.url("primecloud_worker"), //nolint:gocritic // another slice
		"PRIMECLOUD_JOURNAL_DIR="+dir+"/journal", "PRIMECLOUD_ACCESS_LOG_DIR="+dir+"/log", "PRIMECLOUD_ADMIN_ADDR=", "PRIMECLOUD_S3_ADDR=127.0.0.1:0")
	plain, secured := testenv.MinIO(t).Endpoint, testenv.MinIOTLS(t).Endpoint
	for _, s := range []slip{
		{name: "port taken, S3", args: []string{"serve", "--s3-addr", taken}, env: serving, want: []string{"s3.addr: ", taken, "another process"}},
		{name: "port taken, admin", args: []string{"serve", "--admin-addr", taken}, env: serving, want: []string{"admin.addr: ", taken, "another process"}},
		{name: "port taken, dev", args: []string{"dev", "--data", dir + "/dev", "--s3-addr", taken}, want: []string{"s3.addr: ", taken, "another process"}},
		{name: "another machine's address", args: []string{"serve", "--s3-addr", "192.0.2.1:9000"}, env: serving, want: []string{"s3.addr: ", "192.0.2.1:9000", "no such address"}},
		{name: "no port", args: []string{"serve", "--s3-addr", "localhost"}, env: serving, want: []string{"s3.addr: ", `"localhost"`, "HOST:PORT"}},
		{name: "certificate and key of two pairs", args: []string{"serve", "--tls-addr=127.0.0.1:0", "--tls-cert=" + dir + "/a/cert", "--tls-key=" + dir + "/b/key"}, env: serving, want: []string{"tls.cert, tls.key: ", dir + "/a/cert", dir + "/b/key", "its own private key"}},
		{name: "a certificate without a key", args: []string{"serve", "--tls-addr=127.0.0.1:0", "--tls-cert=" + dir + "/a/cert"}, env: serving, want: []string{"tls.cert, tls.key: ", "both"}},
		{name: "a backend with a CA of its own", args: []string{"backend", "add", "second", "--endpoints", secured}, want: []string{"second at " + secured, "--ca-file"}},
		{name: "http for https", args: []string{"backend", "add", "second", "--endpoints", strings.Replace(plain, "http:", "https:", 1)}, want: []string{"second at ", "http://"}},
		{name: "a backend's secret", args: []string{"backend", "add", "second", "--endpoints", plain}, env: replaced(in.env, "BACKEND_SECRET_KEY", "wrong-wrong"), want: []string{"second at ", "SignatureDoesNotMatch"}},
		{name: "nobody at the endpoint", args: []string{"backend", "add", "second", "--endpoints", "http://127.0.0.1:1"}, want: []string{"http://127.0.0.1:1", "connection refused"}},
		{name: "no endpoint", args: []string{"backend", "add", "second"}, want: []string{"--endpoints"}},
		{name: "a credential's file", args: []string{"backend", "add", "second", "--secret-key-file", "/nowhere/x"}, want: []string{"--secret-key-file", "/nowhere/x"}},
	} {
		in.checkSlip(t, &s)
	}
	if _, err := os.Stat(dir + "/dev"); err == nil {
		t.Error("dev began something before it looked at its addresses")
	}
}

// What works, and nobody should leave so, is said when a node starts.
func TestServe_warns(t *testing.T) {
	t.Parallel()
	in := install(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	start := func(gatewayURL string) string {
		var out, errs bytes.Buffer
		environ := append(in.env, "PRIMECLOUD_DATABASE_URL="+gatewayURL, "PRIMECLOUD_JOURNAL_DIR="+dir+"/journal", "PRIMECLOUD_ACCESS_LOG_DIR="+dir+"/log", //nolint:gocritic // another slice
			"PRIMECLOUD_ADMIN_ADDR=", "PRIMECLOUD_ROLES=gateway", "PRIMECLOUD_S3_ADDR="+l.Addr().String()) // it ends there
		if err := (&cli{out: &out, err: &errs, environ: environ}).run(t.Context(), []string{"serve"}); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
			t.Fatalf("%v\n%s", err, errs.String())
		}
		return errs.String()
	}
	const exposed, allRights = "can read", "all rights in the database"
	if log := start(in.url("primecloud_gateway")); strings.Contains(log, exposed) || strings.Contains(log, allRights) {
		t.Errorf("a warning about nothing: %s", log)
	}
	if log := start(in.url("")); !strings.Contains(log, allRights) || !strings.Contains(log, "setting=database.url") {
		t.Errorf("the owner as gateway: %s", log)
	}
	if err := os.Chmod(in.keyring, 0o644); err != nil {
		t.Fatal(err)
	}
	if log := start(in.url("primecloud_gateway")); !strings.Contains(log, exposed) || !strings.Contains(log, "chmod 600 "+in.keyring) {
		t.Errorf("a keyring that everybody reads: %s", log)
	}
}

// Days do where hours would be counted: 7d is a week.
func TestKeyCreate_expiresInDays(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	key := decode[tenancy.Key](t, in.must("key", "create", "acme", "--expires=7d", "--json"))
	if left := time.Until(*key.ExpiresAt); left < 7*24*time.Hour-time.Minute || left > 7*24*time.Hour {
		t.Errorf("it ends in %s", left)
	}
}
