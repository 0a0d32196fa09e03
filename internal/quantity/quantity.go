// Package quantity reads and writes numbers as people do: sizes with their
// units, money, durations and hours.
package quantity

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
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

// bareSize is the least that may be written without a unit: less is more likely a
// number of gigabytes than of bytes.
const bareSize = 1 << 20

// ParseSize reads a number of bytes: 5000000, 10GB, 1.5TiB. A bare K, M, G, T or P
// is refused: people mean either.
func ParseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "kKmMgGtTpPiIbB ")
	unit := strings.TrimSpace(s[len(digits):])
	for _, u := range sizeUnits {
		if strings.EqualFold(unit, u.name) || unit == "" && u.bytes == 1 {
			n, err := scaled(digits, u.bytes)
			switch {
			case err != nil:
				return 0, notSize(s)
			case unit == "" && 0 < n && n < bareSize:
				return 0, fmt.Errorf("%q is %s bytes; write %[2]sB if that is meant, or a unit like %[2]sMB (10^6) or %[2]sGiB (2^30)", s, digits)
			}
			return n, nil
		}
	}
	return 0, notSize(s)
}

func notSize(s string) error {
	return fmt.Errorf("%q is not a size; write 5000000, 10GB (10^9) or 5TiB (2^40)", s)
}

// ParseCount reads a number without a fraction.
func ParseCount(s string) (int64, error) {
	n, err := scaled(s, 1)
	if err != nil {
		err = fmt.Errorf("%q is not a whole number; write one like 500", s)
	}
	return n, err
}

// ParseMoney reads money into billionths of its unit: 12.50.
func ParseMoney(s string) (int64, error) {
	n, err := scaled(s, 1e9)
	if err != nil {
		err = fmt.Errorf("%q is not an amount of money; write one like 12.50, with nine decimals at most and no currency", s)
	}
	return n, err
}

var errNumber = errors.New("not a number, too large, or too fine")

// scaled is a decimal times a unit, which must come out whole.
func scaled(decimal string, unit int64) (int64, error) {
	r, ok := new(big.Rat).SetString(decimal)
	if !ok || strings.ContainsAny(decimal, "/eEpPxXoO_") || r.Sign() < 0 {
		return 0, errNumber
	}
	r.Mul(r, new(big.Rat).SetInt64(unit))
	if !r.IsInt() || r.Num().Cmp(big.NewInt(math.MaxInt64)) > 0 {
		return 0, errNumber
	}
	return r.Num().Int64(), nil
}

// FormatSize writes a size as ParseSize reads it: a whole number of a power of 1024 as
// that, another one in the largest power of 1000 that is not larger, to three digits.
func FormatSize(n int64) string {
	for _, u := range slices.Backward(sizeUnits) {
		if strings.Contains(u.name, "i") && n >= u.bytes && n%u.bytes == 0 && n%1000 != 0 {
			return fmt.Sprint(n/u.bytes, u.name)
		}
	}
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
