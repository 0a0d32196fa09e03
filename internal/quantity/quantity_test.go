package quantity_test

import (
	"testing"

	"github.com/primecloudpro/primecloud/internal/quantity"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "5000": 5000, "10GB": 1e10, "10gb": 1e10, "5TiB": 5 << 40, "1.5 kB": 1500, "0.5MiB": 1 << 19, "7B": 7} {
		if got, err := quantity.ParseSize(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "10G", "x", "-1", "1.5", "1e3", "1/2GB", "10000PiB", "GB", "5 PiBB"} {
		if got, err := quantity.ParseSize(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
	for n, want := range map[int64]string{0: "0B", 999: "999B", 1500: "1.5kB", 1e10: "10GB", 1e12: "1TB"} {
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
