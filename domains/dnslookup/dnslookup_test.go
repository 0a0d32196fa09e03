package dnslookup_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/primecloudpro/primecloud/domains/dnslookup"
	"github.com/primecloudpro/primecloud/domains/dnstest"
)

// internet is a root, a top-level zone and a customer's zone with servers of its own.
type internet struct {
	root, top, zone, forger *dnstest.Server
	client                  *dnslookup.Client
}

func newInternet(t *testing.T) *internet {
	t.Helper()
	s := dnstest.Fleet(t, 4)
	in := &internet{s[0], s[1], s[2], s[3], nil}
	in.root.Set(t, "test", "NS ns.nic.test.")
	in.root.Set(t, "ns.nic.test", "A 127.0.0.2")
	in.top.Set(t, "customer.test", "NS ns.customer.test.")
	in.top.Set(t, "ns.customer.test", "A 127.0.0.3")
	in.client = dnslookup.New(in.config())
	return in
}

func (in *internet) config() dnslookup.Config {
	return dnslookup.Config{Roots: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: in.root.Port, Private: true}
}

// askers are both ways to ask: from the root down, and a resolver.
func askers(t *testing.T) map[string]*internet {
	t.Helper()
	down, resolver := newInternet(t), newInternet(t)
	resolver.client = dnslookup.New(dnslookup.Config{Resolver: resolver.zone.Addr})
	return map[string]*internet{"delegation": down, "resolver": resolver}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	for way, in := range askers(t) {
		in.zone.Set(t, "_primecloud.s3.customer.test", `TXT "first" "half"`, "TXT other")
		in.zone.Set(t, "s3.customer.test", "CNAME Edge.Platform.test.")
		in.zone.Set(t, "customer.test", "A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1")
		for _, c := range []struct {
			name, kind string
			want       []dnslookup.Record
		}{
			{"_primecloud.s3.customer.test", "TXT", []dnslookup.Record{
				{Type: "TXT", Name: "_primecloud.s3.customer.test", Value: "firsthalf"}, {Type: "TXT", Name: "_primecloud.s3.customer.test", Value: "other"}}},
			{"S3.Customer.Test.", "A", []dnslookup.Record{{Type: "CNAME", Name: "s3.customer.test", Value: "edge.platform.test"}}},
			{"customer.test", "A", []dnslookup.Record{{Type: "A", Name: "customer.test", Value: "192.0.2.1"}, {Type: "A", Name: "customer.test", Value: "192.0.2.2"}}},
			{"customer.test", "AAAA", []dnslookup.Record{{Type: "AAAA", Name: "customer.test", Value: "2001:db8::1"}}},
			{"customer.test", "TXT", nil},         // the name is there, the record is not
			{"nothing.customer.test", "TXT", nil}, // the name is not there
		} {
			got, err := in.client.Lookup(t.Context(), c.name, c.kind)
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("%s: %s %s: %v %s", way, c.kind, c.name, err, diff)
			}
		}
	}
}

// Whatever keeps a server from saying what there is, nothing is known: that there is
// no record is what the zone's own server says with authority.
func TestLookup_unknown(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]func(*testing.T, *internet){
		"a server that fails":         func(_ *testing.T, in *internet) { in.zone.Fail(dns.RcodeServerFailure) },
		"a server that refuses":       func(_ *testing.T, in *internet) { in.zone.Fail(dns.RcodeRefused) },
		"a root that fails":           func(_ *testing.T, in *internet) { in.root.Fail(dns.RcodeServerFailure) },
		"a server that is not there":  func(t *testing.T, in *internet) { in.top.Set(t, "ns.customer.test", "A 127.0.0.9") },
		"a server without an address": func(t *testing.T, in *internet) { in.top.Set(t, "ns.customer.test") },
		"a server that refers to the zone above": func(t *testing.T, in *internet) {
			in.zone.Set(t, "test", "NS ns.nic.test.")
		},
		"a server that refers to itself": func(t *testing.T, in *internet) {
			in.zone.Set(t, "customer.test", "NS ns.customer.test.")
		},
		"servers whose names lead to each other": func(t *testing.T, in *internet) {
			in.top.Set(t, "customer.test", "NS ns.a.test.")
			in.top.Set(t, "a.test", "NS ns.b.test.")
			in.top.Set(t, "b.test", "NS ns.a.test.")
		},
		"a name server at an address that is not public": func(_ *testing.T, in *internet) {
			cfg := in.config()
			cfg.Private = false
			in.client = dnslookup.New(cfg)
		},
		"a resolver that fails": func(_ *testing.T, in *internet) {
			in.zone.Fail(dns.RcodeServerFailure)
			in.client = dnslookup.New(dnslookup.Config{Resolver: in.zone.Addr})
		},
		"a resolver that is away": func(_ *testing.T, in *internet) {
			in.client = dnslookup.New(dnslookup.Config{Resolver: "127.0.0.9:1"})
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			in := newInternet(t)
			in.zone.Set(t, "_primecloud.customer.test", "TXT there")
			if got, err := in.client.Lookup(t.Context(), "_primecloud.customer.test", "TXT"); err != nil || len(got) != 1 {
				t.Fatalf("before: %v, %v: the test shows nothing", got, err)
			}
			c(t, in)
			if got, err := in.client.Lookup(t.Context(), "_primecloud.customer.test", "TXT"); !errors.Is(err, dnslookup.ErrUnknown) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// A zone cannot have us ask without end: each of its servers has a name in a further
// zone, whose servers have names in further ones.
func TestLookup_endless(t *testing.T) {
	t.Parallel()
	in := newInternet(t)
	for i := range 200 {
		in.top.Set(t, fmt.Sprintf("z%d.test", i), fmt.Sprintf("NS ns.z%d.test.", 2*i+1), fmt.Sprintf("NS ns.z%d.test.", 2*i+2))
	}
	_, err := in.client.Lookup(t.Context(), "z0.test", "TXT")
	if asked := in.top.Asked() + in.root.Asked(); !errors.Is(err, dnslookup.ErrUnknown) || asked > 150 {
		t.Errorf("%v after %d questions", err, asked)
	}
}

// A server says where others are only of names below its own zone: what it says of
// others is looked up.
func TestLookup_foreignGlue(t *testing.T) {
	t.Parallel()
	in := newInternet(t)
	in.zone.Set(t, "sub.customer.test", "NS ns.other.test.")
	in.zone.Set(t, "ns.other.test", "A 127.0.0.4") // it is not its to say
	in.top.Set(t, "other.test", "NS ns.other.test.")
	in.forger.Set(t, "x.sub.customer.test", "TXT forged")
	if got, err := in.client.Lookup(t.Context(), "x.sub.customer.test", "TXT"); !errors.Is(err, dnslookup.ErrUnknown) || in.forger.Asked() > 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for way, in := range askers(t) {
		in.zone.Set(t, "edge.customer.test", "CNAME lb.customer.test.")
		in.zone.Set(t, "lb.customer.test", "A 192.0.2.1", "AAAA 2001:db8::1")
		in.zone.Set(t, "round.customer.test", "CNAME round.customer.test.")
		got, err := in.client.Addresses(t.Context(), "edge.customer.test")
		if len(got) != 2 || err != nil || got[0] != netip.MustParseAddr("192.0.2.1") || got[1] != netip.MustParseAddr("2001:db8::1") {
			t.Errorf("%s: %v, %v", way, got, err)
		}
		if got, err := in.client.Addresses(t.Context(), "nowhere.customer.test"); len(got) != 0 || err != nil {
			t.Errorf("%s: %v, %v", way, got, err)
		}
		if got, err := in.client.Addresses(t.Context(), "round.customer.test"); !errors.Is(err, dnslookup.ErrUnknown) {
			t.Errorf("%s: %v, %v", way, got, err)
		}
	}
}

func TestLookup_ended(t *testing.T) {
	t.Parallel()
	in := newInternet(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := in.client.Lookup(ctx, "customer.test", "TXT"); !errors.Is(err, dnslookup.ErrUnknown) {
		t.Error(err)
	}
}
