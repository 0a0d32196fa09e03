// Package rowid holds the type of rows' ids. It is a package of its own so that
// who only names accounts, buckets and keys does not import tenancy, which
// speaks to backends.
package rowid

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// ID is a UUID. The zero ID stands for "none".
type ID [16]byte

// New makes a version 7 UUID (RFC 9562 section 5.7): ids sort by age.
func New() ID {
	var id ID
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	ms := time.Now().UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// Parse reads the form that String writes.
func Parse(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, fmt.Errorf("%q is not an id; write one as a list shows it, like 01234567-89ab-7cde-8f01-23456789abcd", s)
	}
	if _, err := hex.Decode(id[:], []byte(s[0:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err != nil {
		return ID{}, fmt.Errorf("%q is not an id; write one as a list shows it, like 01234567-89ab-7cde-8f01-23456789abcd", s)
	}
	return id, nil
}

// String is the usual form, 36 characters.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:], id[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// MarshalText makes JSON show the usual form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = Parse(string(text))
	return err
}

// UUIDValue and ScanUUID make ID a PostgreSQL uuid.
func (id ID) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: id, Valid: true}, nil }

// ScanUUID reads NULL as the zero ID.
func (id *ID) ScanUUID(v pgtype.UUID) error {
	*id = ID{}
	if v.Valid {
		*id = v.Bytes
	}
	return nil
}
