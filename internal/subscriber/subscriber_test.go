package subscriber_test

import (
	"net/netip"
	"testing"

	"github.com/primecloudpro/primecloud/internal/subscriber"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:2::": "2001:db8:1:2::", "2001:db8:1:3::1": "2001:db8:1:3::", "fe80::1%eth0": "fe80::",
	} {
		if got := subscriber.Of(netip.MustParseAddr(in)); got != netip.MustParseAddr(want) {
			t.Errorf("%s: %s, wanted %s", in, got, want)
		}
	}
	if got := subscriber.Of(netip.Addr{}); got.IsValid() {
		t.Errorf("nobody is %s", got)
	}
}
