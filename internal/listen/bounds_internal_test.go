package listen

import (
	"net/netip"
	"testing"
)

func TestBounds_key(t *testing.T) {
	t.Parallel()
	b := &bounds{perAddress: 1, proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}}
	for addr, want := range map[string]string{
		"192.0.2.1":          "192.0.2.1",
		"192.0.2.2":          "192.0.2.2",
		"10.1.2.3":           "invalid IP",
		"2001:db8::1:2:3:4":  "2001:db8::",
		"2001:db8::9:9:9:9":  "2001:db8::",
		"2001:db8:0:1::1":    "2001:db8:0:1::",
		"2001:db8:1:2::1":    "invalid IP",
		"fe80::1%eth0":       "fe80::",
		"::1":                "::",
		"2001:db8:ffff::1:1": "2001:db8:ffff::",
	} {
		if got := b.key(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s: %s, wanted %s", addr, got, want)
		}
	}
}
