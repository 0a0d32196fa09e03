package quantity_test

import (
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/quantity"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "5000B": 5000, "5000000": 5000000, "10GB": 1e10, "10gb": 1e10, "5TiB": 5 << 40, "1.5 kB": 1500, "0.5MiB": 1 << 19, "7B": 7} {
		if got, err := quantity.ParseSize(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "10G", "x", "-1", "1.5", "1e3", "1/2GB", "10000PiB", "GB", "5 PiBB", "10", "1048575"} {
		if got, err := quantity.ParseSize(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
	for n, want := range map[int64]string{0: "0B", 999: "999B", 1500: "1.5kB", 1e10: "10GB", 1e12: "1TB", 5 << 40: "5TiB", 1536: "1.536kB", 1 << 10: "1KiB", 64 << 10: "64KiB", 1024000: "1.024MB"} {
		if got := quantity.FormatSize(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	if n, err := quantity.ParseMoney("12.50"); err != nil || n != 12_500_000_000 || quantity.FormatMoney(n) != "12.5" || quantity.FormatMoney(1e10) != "10" {
		t.Errorf("12.50 is %d, %v", n, err)
	}
	if _, err := quantity.ParseMoney("0.0000000001"); err == nil {
		t.Error("money finer than a billionth")
	}
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"0s": 0, "90s": 90 * time.Second, "2h30m": 150 * time.Minute, "7d": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0} {
		if got, err := quantity.ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "7", "5 minutes", "-5m", "d", "-1d", "1.5d", "1d-2h", "1dd", "1d2d", "99999999999d", "soon"} {
		if got, err := quantity.ParseDuration(text); err == nil {
			t.Errorf("%q was read as %s", text, got)
		}
	}
}

func TestHour(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-11-27": "2026-11-27T00:00Z", "2026-11-27T15:00Z": "2026-11-27T15:00Z", "2026-11-27T15:00:00Z": "2026-11-27T15:00Z", "2026-11-27T15:00-03:00": "2026-11-27T18:00Z",
		"2026-11-27T15:00+05:30": "", "2026-11-27T17:30Z": "", "2026-11-27T17:00:01Z": "", "2026-13-01": "", "2026-11-27 15:00": "", "yesterday": "", "": "", "2026-11-27T15:00": "",
	} {
		var h quantity.Hour
		err := h.UnmarshalText([]byte(text))
		if got := h.String(); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q is %s, %v; want %q", text, got, err, want)
		}
	}
	var h quantity.Hour
	if err := h.UnmarshalText([]byte("2026-11-27T17:30Z")); err == nil || !strings.Contains(err.Error(), "2026-11-27T17:00Z or 2026-11-27T18:00Z") {
		t.Errorf("within an hour: %v", err)
	}
}
