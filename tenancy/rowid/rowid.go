// Package rowid holds the type of rows' ids. It is a package of its own so that
// who only names accounts, buckets and keys does not import tenancy, which
// speaks to backends.
package rowid

import (
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// ID is a UUID. The zero ID stands for "none".
type ID [16]byte

// New makes a version 7 UUID (RFC 9562 section 5.7): ids sort by age, and their
// last eight bytes are random.
func New() ID { return ID(uuid.Must(uuid.NewV7())) }

// Parse reads the form that String writes, and no other form of a UUID.
func Parse(s string) (ID, error) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != len("00000000-0000-0000-0000-000000000000") {
		return ID{}, fmt.Errorf("%q is not an id; write one as a list shows it, like 01234567-89ab-7cde-8f01-23456789abcd", s)
	}
	return ID(id), nil
}

// String is the usual form, 36 characters.
func (id ID) String() string { return uuid.UUID(id).String() }

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
