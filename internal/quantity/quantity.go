// Package quantity reads and writes numbers as people do: sizes with their
// units, and money.
package quantity

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

// sizeUnits are what people write: powers of 1000, and with an i of 1024.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15},
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"PiB", 1 << 50},
}

// ParseSize reads a number of bytes: 5000, 10GB, 1.5TiB. A bare K, M, G, T or P
// is refused: people mean either.
func ParseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "kKmMgGtTpPiIbB ")
	unit := strings.TrimSpace(s[len(digits):])
	for _, u := range sizeUnits {
		if strings.EqualFold(unit, u.name) || unit == "" && u.bytes == 1 {
			return scaled(digits, u.bytes)
		}
	}
	return 0, fmt.Errorf("%q is not a size; write 5000, 10GB (10^9) or 5TiB (2^40)", s)
}

// ParseCount reads a number without a fraction.
func ParseCount(s string) (int64, error) { return scaled(s, 1) }

// ParseMoney reads money into billionths of its unit: 12.50.
func ParseMoney(s string) (int64, error) { return scaled(s, 1e9) }

// scaled is a decimal times a unit, which must come out whole.
func scaled(decimal string, unit int64) (int64, error) {
	r, ok := new(big.Rat).SetString(decimal)
	if !ok || strings.ContainsAny(decimal, "/eEpPxXoO_") || r.Sign() < 0 {
		return 0, fmt.Errorf("%q is not a number", decimal)
	}
	r.Mul(r, new(big.Rat).SetInt64(unit))
	if !r.IsInt() || r.Num().Cmp(big.NewInt(math.MaxInt64)) > 0 {
		return 0, fmt.Errorf("%q is too large or too fine", decimal)
	}
	return r.Num().Int64(), nil
}

// FormatSize writes a size as ParseSize reads it, in the largest unit that
// is not larger, to three digits.
func FormatSize(n int64) string {
	for i := len("kMGTP"); i > 0; i-- {
		if u := sizeUnits[i]; n >= u.bytes {
			return trimZeros(fmt.Sprintf("%.3f", float64(n)/float64(u.bytes))) + u.name
		}
	}
	return fmt.Sprint(n, "B")
}

// FormatMoney writes money as ParseMoney reads it.
func FormatMoney(n int64) string {
	return trimZeros(fmt.Sprintf("%d.%09d", n/1e9, n%1e9))
}

func trimZeros(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") }
