package domains_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/domains"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Names that nobody can have, and the sentence that the customer reads.
func TestClaim_refusedNames(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const (
		anAddress   = " is an IP address; a domain is a name, such as s3.example.com."
		ofPlatform  = " is a name of the platform itself; add a host of your own."
		publicName  = " is a name under which anybody can register names; add a host of your own below it."
		hasWildcard = " has a wildcard; add each host by its own name, such as s3.example.com."
		noName      = " is not the name of a host: between its dots stand 1 to 63 letters, digits and hyphens."
		noNameAlone = " is not the name of a host; write the name alone, without https:// and path, such as s3.example.com."
		hasPort     = " has a port; write the name alone, such as s3.example.com."
		lookalike   = " in one word, as names do that are to be taken for others; write it in one script."
		cyrillic    = " is written in Cyrillic letters that look like Latin ones, as names are that are to be taken for others."
	)
	for host, want := range map[string]string{
		"":  `"" is not the name of a host; write one, such as s3.example.com.`,
		".": `"." is not the name of a host; write one, such as s3.example.com.`,

		"*.customer.test":       `"*.customer.test"` + hasWildcard,
		"s3.*.customer.test":    `"s3.*.customer.test"` + hasWildcard,
		"*":                     `"*"` + hasWildcard,
		"192.0.2.7":             `"192.0.2.7"` + anAddress,
		"127.1":                 `"127.1"` + anAddress,
		"2130706433":            `"2130706433"` + anAddress,
		"0x7f000001":            `"0x7f000001"` + anAddress,
		"customer.0x7f":         `"customer.0x7f"` + anAddress,
		"2001:db8::1":           `"2001:db8::1"` + anAddress,
		"[2001:db8::1]":         `"[2001:db8::1]"` + anAddress,
		"１９２.0.2.７":             `"１９２.0.2.７"` + anAddress, // digits of another script
		"https://customer.test": `"https://customer.test"` + noNameAlone,
		"customer.test/x":       `"customer.test/x"` + noNameAlone,
		"a@customer.test":       `"a@customer.test"` + noNameAlone,
		"customer.test:443":     `"customer.test:443"` + hasPort,
		"a..customer.test":      `"a..customer.test"` + noName,
		"-a.customer.test":      `"-a.customer.test"` + noName,
		"a b.customer.test":     `"a b.customer.test"` + noName,
		"a_b.customer.test":     `"a_b.customer.test"` + noName,
		"a\x00.customer.test":   `"a\x00.customer.test"` + noName,
		"xn--a.customer.test":   `"xn--a.customer.test"` + noName,
		"xn--zz.customer.test":  `"xn--zz.customer.test"` + noName,
		strings.Repeat("a", 64) + ".customer.test": `"` + strings.Repeat("a", 64) + `.customer.test"` + noName,

		"com":          "com" + publicName,
		"test":         "test" + publicName,
		"localhost":    "localhost" + publicName,
		"com.br":       "com.br" + publicName,
		"COM.BR.":      "com.br" + publicName,
		"github.io":    "github.io" + publicName,
		"コム":           "xn--tckwe" + publicName,
		"blogspot.com": "blogspot.com" + publicName,

		"edge.platform.test":             "edge.platform.test" + ofPlatform,
		"x.edge.platform.test":           "x.edge.platform.test" + ofPlatform,
		"S3.Platform.test.":              "s3.platform.test" + ofPlatform,
		"bucket.s3.platform.test":        "bucket.s3.platform.test" + ofPlatform,
		"b.tenants.platform.test":        "b.tenants.platform.test" + ofPlatform,
		"photos.b.tenants.platform.test": "photos.b.tenants.platform.test" + ofPlatform,
		"ｓ３.platform.test":               "s3.platform.test" + ofPlatform, // full-width letters are the same name

		"раypal.test":          `"раypal.test" mixes letters of several scripts (Cyrillic, Latin)` + lookalike, // р and а are Cyrillic
		"s3.сustomer.test":     `"s3.сustomer.test" mixes letters of several scripts (Cyrillic, Latin)` + lookalike,
		"customerα.test":       `"customerα.test" mixes letters of several scripts (Greek, Latin)` + lookalike,
		"xn--ustomer-xjg.test": `"xn--ustomer-xjg.test" mixes letters of several scripts (Cyrillic, Latin)` + lookalike,
		"аррӏе.test":           `"аррӏе.test"` + cyrillic,
		"xn--80ak6aa92e.com":   `"xn--80ak6aa92e.com"` + cyrillic, // the same, as it stands in the DNS
	} {
		_, err := f.service.Claim(t.Context(), f.Owner, f.a, host, domains.S3, "")
		refusedWith(t, host, err, want)
	}
	if list, err := f.service.List(t.Context(), f.Owner, tenancy.ID{}); len(list) != 0 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	long := strings.Repeat(strings.Repeat("a", 60)+".", 4) + "test"
	_, err := f.service.Claim(t.Context(), f.Owner, f.a, long, domains.S3, "")
	refusedWith(t, "long", err, `"`+long+`" is too long: the name of its TXT record has more than the DNS's 253 characters.`)
}

// Names in any script are one name each, however they are written.
func TestClaim_scripts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for written, want := range map[string]string{
		"Ação.Customer.test": "xn--ao-siap.customer.test",
		"bücher.test":        "xn--bcher-kva.test",
		"XN--BCHER-KVB.test": "", // not the same name, and no name
		"пример.test":        "xn--e1afmkfd.test",
		"日本語テスト.test":        "xn--zckzah9945czlbtz6h.test",
		"s3-日本.test":         "xn--s3--v08fl0d.test",
		"a.com.br":           "a.com.br",
	} {
		d, err := f.service.Claim(t.Context(), f.Owner, f.a, written, domains.S3, "")
		if want == "" {
			if err == nil {
				t.Errorf("%s became %s", written, d.Host)
			}
			continue
		}
		if err != nil || d.Host != want {
			t.Errorf("%s: %+v, %v, want %s", written, d, err, want)
		}
	}
	_, err := f.service.Claim(t.Context(), f.Owner, f.a, "xn--bcher-kva.TEST.", domains.S3, "")
	refusedWith(t, "another spelling", err, "xn--bcher-kva.test has been added to this account already.")
}

func TestClaim_purposes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range []struct {
		purpose  domains.Purpose
		bucket   string
		sentence string
	}{
		{"mail", "", `A domain is for s3, website or portal, not for "mail".`},
		{domains.Website, "", "A website is a bucket: name it."},
		{domains.Portal, "photos", "Only a website has a bucket of its own."},
	} {
		_, err := f.service.Claim(t.Context(), f.Owner, f.a, "x.customer.test", c.purpose, c.bucket)
		refusedWith(t, string(c.purpose), err, c.sentence)
	}
	if d, err := f.service.Claim(t.Context(), f.Owner, f.a, "x.customer.test", domains.Website, "photos"); err != nil || d.Bucket != "photos" {
		t.Errorf("%+v, %v", d, err)
	}
}

// A claim keeps nobody from claiming; the proof decides, whoever was first.
func TestTakeover_verifiedName(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	squatter := f.claim(f.b, "s3.customer.test")
	d := f.claim(f.a, "s3.customer.test")
	if d.Records[0].Value == squatter.Records[0].Value {
		t.Fatal("two claims have one token")
	}
	f.prove(d)
	if squatter = f.verify(squatter); squatter.Ownership.State != domains.Pending {
		t.Errorf("verified by another's record: %+v", squatter.Ownership)
	}
	if d = f.verify(d); d.Ownership.State != domains.Verified {
		t.Fatalf("%+v", d.Ownership)
	}
	const sentence = "s3.customer.test belongs to another account, which has proven it; whoever has the name now can ask the support to release it."
	c := f.Account("c")
	_, err := f.service.Claim(t.Context(), f.Owner, c, "s3.customer.test", domains.S3, "")
	refusedWith(t, "a claim of a verified name", err, sentence)
	// With a record of its own beside the holder's it is told the same.
	f.dns.Set(t, d.Records[0].Name, "TXT "+d.Records[0].Value, "TXT "+squatter.Records[0].Value)
	if squatter = f.verify(squatter); squatter.Ownership.State != domains.Failed || squatter.Ownership.Reason != sentence {
		t.Errorf("%+v", squatter.Ownership)
	}
	if d = f.verify(d); d.Ownership.State != domains.Verified {
		t.Errorf("%+v", d.Ownership)
	}
}

// Both prove it at once: one has it.
func TestTakeover_race(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 5 {
		a, b := f.claim(f.a, "race.customer.test"), f.claim(f.b, "race.customer.test")
		f.dns.Set(t, a.Records[0].Name, "TXT "+a.Records[0].Value, "TXT "+b.Records[0].Value)
		var both sync.WaitGroup
		both.Go(func() { a = f.verify(a) })
		both.Go(func() { b = f.verify(b) })
		both.Wait()
		if states := string(a.Ownership.State + " " + b.Ownership.State); states != "verified failed" && states != "failed verified" {
			t.Errorf("%s", states)
		}
		for _, account := range []*tenancy.Account{f.a, f.b} {
			if err := f.service.Remove(t.Context(), f.Owner, account.ID, "race.customer.test", true); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A removed name whose CNAME record still points here is nobody else's: neither by a
// new claim, nor by one from before, for 30 days; then a new claim has a new token.
func TestTakeover_danglingCNAME(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	waiting := f.claim(f.b, "s3.customer.test")
	d := f.verified(f.a, "s3.customer.test")
	f.dns.Set(t, d.Host, "CNAME "+target+".")
	if err := f.service.Remove(t.Context(), f.Owner, f.a.ID, d.Host, false); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(30 * 24 * time.Hour).UTC().Format(time.DateOnly)
	sentence := "s3.customer.test belonged to another account until a short time ago, and is reserved for it until " + until + "; add it after that day, or ask the support to release it."
	c := f.Account("c")
	_, err := f.service.Claim(t.Context(), f.Owner, c, d.Host, domains.S3, "")
	refusedWith(t, "a claim of a removed name", err, sentence)
	f.prove(waiting)
	if waiting = f.verify(waiting); waiting.Ownership.State != domains.Failed || waiting.Ownership.Reason != sentence {
		t.Errorf("an older claim: %+v", waiting.Ownership)
	}
	// Whoever had it comes back, with a new token: the old record proves nothing.
	f.prove(d)
	again := f.claim(f.a, d.Host)
	if again.Records[0].Value == d.Records[0].Value {
		t.Error("the token is that of before")
	}
	if again = f.verify(again); again.Ownership.State != domains.Pending {
		t.Errorf("verified by the record of before: %+v", again.Ownership)
	}
	if err := f.service.Remove(t.Context(), f.Owner, f.a.ID, d.Host, false); err != nil {
		t.Fatal(err)
	}
	_, err = f.service.Claim(t.Context(), f.Owner, c, d.Host, domains.S3, "")
	refusedWith(t, "a claim after two removals", err, sentence)
	// The 30 days are over.
	f.Exec(`UPDATE domains SET reserved_until = now() - interval '1 second' WHERE removed_at IS NOT NULL`)
	if after := f.claim(c, d.Host); after.Records[0].Value == d.Records[0].Value || after.Ownership.State != domains.Pending {
		t.Errorf("%+v", after)
	}
}

// What was only claimed is kept from nobody, and the operator can give back what is reserved.
func TestRemove(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.claim(f.a, "s3.customer.test")
	if err := f.service.Remove(t.Context(), f.Owner, f.a.ID, d.Host, false); err != nil {
		t.Fatal(err)
	}
	f.claim(f.b, d.Host)
	if err := f.service.Remove(t.Context(), f.Owner, f.a.ID, d.Host, false); !errors.Is(err, domains.ErrNoDomain) {
		t.Errorf("another's domain: %v", err)
	}
	kept := f.verified(f.a, "kept.customer.test")
	for _, release := range []bool{false, true} {
		if err := f.service.Remove(t.Context(), f.Owner, tenancy.ID{}, kept.Host, release); err != nil {
			t.Fatal(err)
		}
	}
	f.claim(f.b, kept.Host)
}

// Who may remove cannot take a removal back.
func TestRemove_forGood(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.verified(f.a, "s3.customer.test")
	if err := f.service.Remove(t.Context(), f.Owner, f.a.ID, d.Host, false); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{`UPDATE domains SET removed_at = NULL`, `UPDATE domains SET removed_at = now() + interval '1 hour'`} {
		if _, err := f.Owner.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "stays removed") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
