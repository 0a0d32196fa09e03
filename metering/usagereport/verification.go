package usagereport

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/internal/quantity"
	"github.com/primecloudpro/primecloud/metering/ledger"
)

// Verification is what ledger.Verify found.
type Verification struct {
	OK          bool        `json:"ok"`
	Hours       int         `json:"hours"`
	Readings    int64       `json:"readings"`
	Adjustments int64       `json:"adjustments"`
	Samples     int64       `json:"samples"`
	Open        []Open      `json:"open,omitempty"` // rows that wait for their seal
	Unsealed    int         `json:"final_hours_unsealed"`
	Head        *Seal       `json:"head,omitempty"` // the newest seal
	Difference  *Difference `json:"difference,omitempty"`
}

// Open is how many rows of a kind wait for the seal of an hour.
type Open struct {
	Hour time.Time `json:"hour"`
	What string    `json:"what"`
	Rows int64     `json:"rows"`
}

// Seal is an hour's seal.
type Seal struct {
	Hour     time.Time `json:"hour"`
	Hash     string    `json:"hash"` // hexadecimal
	KeyID    string    `json:"key_id"`
	SealedAt time.Time `json:"sealed_at"`
}

// KnownSeal is a seal as it was noted down: HOUR=HASH.
type KnownSeal struct {
	Hour time.Time
	Hash ledger.Digest
}

// UnmarshalText reads HOUR=HASH.
func (k *KnownSeal) UnmarshalText(text []byte) error {
	hour, hash, _ := strings.Cut(string(text), "=")
	var h quantity.Hour
	b, err := hex.DecodeString(hash)
	if h.UnmarshalText([]byte(hour)) != nil || err != nil || len(b) != len(k.Hash) {
		return fmt.Errorf("%q is not HOUR=HASH; write it as `primecloud usage verify` prints it", text)
	}
	k.Hour, k.Hash = h.Time, ledger.Digest(b)
	return nil
}

// Difference is the first that was found; ledger.Difference lists what it may be.
type Difference struct {
	Hour   time.Time `json:"hour"`
	What   string    `json:"what"`
	Detail string    `json:"detail"`
}

// OfVerification puts a verification into its JSON form.
func OfVerification(v *ledger.Verification) *Verification {
	r := &Verification{OK: v.Difference == nil, Hours: v.Hours, Readings: v.Rows, Adjustments: v.Adjustments, Samples: v.Samples, Unsealed: v.Unsealed}
	for _, n := range v.Open {
		r.Open = append(r.Open, Open(n))
	}
	if h := v.Head; !h.Hour.IsZero() {
		r.Head = &Seal{h.Hour, hex.EncodeToString(h.Hash[:]), h.KeyID, h.SealedAt.UTC()}
	}
	if d := v.Difference; d != nil {
		r.Difference = &Difference{d.Hour, d.What, d.Detail}
	}
	return r
}
