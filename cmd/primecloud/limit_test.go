package main

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering/usagereport"
	"github.com/primecloudpro/primecloud/tenancy"
)

// TestStorageQuota: a quota begins with what was measured, and a deletion makes
// room once it has been measured too. What was uploaded in the hour of a sample
// counts beside it.
func TestStorageQuota(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	in.must("bucket", "create", "acme", "backups")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	in.must("account", "limit", "acme", "--storage-quota", "5MB")
	c := client(in.serveProcess().addrs.S3, k)
	put := func(key string, size int) error {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("backups"), Key: aws.String(key), Body: bytes.NewReader(make([]byte, size))})
		return err
	}
	if err := put("first", 3e6); err != nil {
		t.Fatal(err)
	}
	in.must("usage", "sample", "--account", "acme")
	testenv.WaitFor(t, "the sample to count", func() bool {
		err := put("second", 1e6) // 3 measured, 3 uploaded, and this
		if err != nil && !strings.Contains(err.Error(), "QuotaExceeded") {
			t.Fatal(err)
		}
		return err != nil
	})
	for _, key := range []string{"first", "second"} {
		if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("backups"), Key: aws.String(key)}); err != nil {
			t.Fatal(err)
		}
	}
	in.must("usage", "sample", "--account", "acme")
	testenv.WaitFor(t, "room", func() bool { return put("third", 100_000) == nil })
}

// TestLimitCommands sets every limit, uses some of a budget on a node, and
// reads where it stands.
func TestLimitCommands(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	in.must("bucket", "create", "acme", "backups")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	p := in.serveProcess()
	if _, err := in.run("account", "limit", "acme", "--spend-budget", "10"); err == nil || !strings.Contains(err.Error(), "rates set") {
		t.Errorf("a spend budget without prices: %v", err)
	}
	in.must("rates", "set", "--currency", "BRL", "--egress-gb", "0.05", "--thousand-a", "0.03", "--thousand-b", "0.002")
	if cards := decode[[]limits.Card](t, in.must("rates", "list", "--json")); len(cards) != 1 || cards[0].EgressGB != 50_000_000 {
		t.Errorf("rates: %+v", cards)
	}
	in.must("account", "limit", "acme", "--requests-per-second", "500", "--download-rate", "200MB", "--upload-rate", "200MB", "--concurrent", "64",
		"--storage-quota", "5TiB", "--egress-budget", "100kB", "--request-budget", "1000/soft", "--spend-budget", "250.00")
	in.must("account", "limit", "acme", "--concurrent", "none", "--egress-budget", "2MB/hard")
	if out := in.must("key", "limit", k.KeyID, "--egress-budget", "1MB/soft"); !strings.HasPrefix(out, "LIMITS_OF ") {
		t.Errorf("it does not begin with its table: %q", out)
	}
	c := client(p.addrs.S3, k)
	body := bytes.Repeat([]byte("x"), 600_000)
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("backups"), Key: aws.String("k"), Body: bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
	get := func() error {
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("backups"), Key: aws.String("k")})
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, out.Body)
		return err
	}
	for range 2 {
		if err := get(); err != nil {
			t.Fatal(err)
		}
	}
	type detail struct {
		Limits  tenancy.Limits  `json:"limits"`
		Budgets []limits.Status `json:"budgets"`
		Keys    []struct {
			Budgets []limits.Status `json:"budgets"`
		} `json:"limited_keys"`
		Alerts []limits.Event `json:"alerts"`
	}
	var d detail
	testenv.WaitFor(t, "the budget's use", func() bool {
		d = decode[detail](t, in.must("account", "show", "acme", "--json"))
		return len(d.Budgets) == 4 && d.Budgets[1].Used == int64(2*len(body)) && slices.ContainsFunc(d.Alerts, func(e limits.Event) bool { return e.Key == (tenancy.ID{}) && e.Threshold == 50 })
	})
	if b := d.Budgets[1]; b.Name != "egress" || b.Percent != 60 || b.Overshoot != 0 || b.Soft || d.Limits.Concurrent != 0 || d.Limits.DownloadRate != 200e6 {
		t.Errorf("%+v", d)
	}
	if b := d.Budgets[3]; b.Name != "spend" || b.Currency != "BRL" || b.Used == 0 {
		t.Errorf("%+v", b)
	}
	if len(d.Keys) != 1 || d.Keys[0].Budgets[0].Percent != 120 {
		t.Errorf("%+v", d.Keys)
	}
	perDay := decode[[]usagereport.Usage](t, in.must("usage", "show", "--by=day", "--from="+time.Now().UTC().Format(time.DateOnly), "--json"))
	if len(perDay) == 0 || perDay[0].Account != "acme" || perDay[0].Day == "" || perDay[0].Egress < int64(2*len(body)) {
		t.Errorf("by account and day: %+v", perDay)
	}
	if whole := in.must("usage", "show", "--by=account", "--csv"); !strings.HasPrefix(whole, "ACCOUNT,REQUESTS,") || !strings.Contains(whole, "\nacme,") {
		t.Errorf("by account: %s", whole)
	}
	text := strings.Join(strings.Fields(in.must("account", "show", "acme")), " ")
	for _, part := range []string{"OVERSHOOT_BOUND", "200MB", "5TiB", "60.0%", "250 BRL", "acme egress 50%", k.KeyID} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
	if err := get(); err != nil { // 1.8 of 2 MB
		t.Error(err)
	}
	if err := get(); err == nil || !strings.Contains(err.Error(), "QuotaExceeded") {
		t.Errorf("2.4 of 2 MB: %v", err)
	}
	// A change is heard of at once; a refusal is remembered for a second.
	in.must("account", "limit", "acme", "--egress-budget", "none")
	testenv.WaitFor(t, "the budget to be gone", func() bool { return get() == nil })
	for _, bad := range [][]string{{"--download-rate", "1kB"}, {"--egress-budget", "1GB/firm"}, {"--concurrent", "0"}, {"--storage-quota", "5T"}} {
		if _, err := in.run(append([]string{"account", "limit", "acme"}, bad...)...); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if _, err := in.run("key", "limit", k.KeyID, "--storage-quota", "5GB"); err == nil {
		t.Error("a key has no storage of its own")
	}
	// A successor has its limits.
	next := decode[tenancy.Key](t, in.must("key", "rotate", k.KeyID, "--json"))
	d = decode[detail](t, in.must("account", "show", "acme", "--json"))
	if len(d.Keys) != 2 {
		t.Errorf("the successor %s has no limits: %+v", next.KeyID, d.Keys)
	}
	if _, err := in.run("rates", "set", "--currency", "BRL", "--from", time.Now().Add(-48*time.Hour).UTC().Format(time.RFC3339)); err == nil {
		t.Error("prices of the past were changed")
	}
}
