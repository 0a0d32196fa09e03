package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// Keys vouch for seals. They are kept outside the database: who can change a
// row cannot make its seal. The id of a key is kept with the seal, so that keys
// may be replaced.
type Keys interface {
	Attest(label string, data []byte) (keyID string, mac []byte)
	Attested(label, keyID string, data, mac []byte) error
}

const sealLabel = "usage seal"

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// Seal is what was final of an hour: its readings and samples, and the
// adjustments and samples that came for earlier hours since the seal before.
// Every hour from the first one with readings on has one, also when nothing was
// counted in it.
type Seal struct {
	Hour              time.Time
	Rows, Adjustments int64  // readings and adjustments
	Samples           int64  // of stored bytes
	Previous          Digest // Hash of the hour before; zero in the first seal
	Hash              Digest // of all the others and of every column of what is sealed
	SealedAt          time.Time
	KeyID             string
	HMAC              []byte // of Hash

	before2 bool // it was made before seals covered samples
}

// sealNext seals the hour after head, the last seal as it was looked at (zero:
// there is none), if it is over before final. It looks before it takes the lock
// that writers share, and again with it: nil when there is nothing to do, or
// another process has sealed meanwhile.
func sealNext(ctx context.Context, q pg.Querier, keys Keys, final time.Time, head Seal) (sealed *Seal, err error) {
	if s, err := next(ctx, q); err != nil || !s.ended(final) {
		return nil, err
	}
	err = pg.InTx(ctx, q, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT lock_usage()`); err != nil {
			return err
		}
		s, err := next(ctx, tx)
		if err != nil || !s.ended(final) || s.Previous != head.Hash {
			return err
		}
		if err := s.compute(ctx, tx); err != nil {
			return err
		}
		s.KeyID, s.HMAC = keys.Attest(sealLabel, s.Hash[:])
		sealed = &s
		return insertSeal(ctx, tx, s)
	})
	if err != nil {
		return nil, err
	}
	return sealed, nil
}

// ended reports whether the hour to be sealed is over: before final, which the
// nodes say, and by the database's clock too, which next has read.
func (s Seal) ended(final time.Time) bool {
	end := s.Hour.Add(time.Hour)
	return !s.Hour.IsZero() && !end.After(final) && !end.After(s.SealedAt)
}

// next is the seal to make after the last one, or of the first hour that has
// readings; its Hour is zero when there is none.
func next(ctx context.Context, q pg.Querier) (Seal, error) {
	var s Seal
	var previous []byte
	err := q.QueryRow(ctx, `SELECT hour + interval '1 hour', hash, clock_timestamp() FROM usage_seals ORDER BY hour DESC LIMIT 1`).
		Scan(&s.Hour, &previous, &s.SealedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		var first *time.Time
		if err = q.QueryRow(ctx, `SELECT min(hour), clock_timestamp() FROM usage_readings`).Scan(&first, &s.SealedAt); first != nil {
			s.Hour = *first
		}
	}
	copy(s.Previous[:], previous)
	s.Hour = s.Hour.UTC()
	return s, err
}

// compute sets Rows, Adjustments, Samples and Hash to what the database has for the hour.
// The hash is over a canonical form: lengths are fixed or given, integers
// big-endian, times in microseconds since 1970.
func (s *Seal) compute(ctx context.Context, q pg.Querier) (err error) {
	h := sha256.New()
	version := "primecloud usage seal 2\n"
	if s.before2 {
		version = "primecloud usage seal 1\n"
	}
	b := append(make([]byte, 0, 256), version...)
	b = appendTimes(b, s.Hour, s.SealedAt)
	_, _ = h.Write(append(b, s.Previous[:]...))
	if s.Rows, err = hashRows(ctx, q, h, `SELECT epoch, account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes,
			declared_ingress_bytes, declared_egress_bytes, read_at
		FROM usage_readings WHERE hour = $1 ORDER BY epoch, account_id, bucket_id, key_id, class COLLATE "C"`, s.Hour); err != nil {
		return err
	}
	if s.Adjustments, err = hashRows(ctx, q, h, `SELECT epoch, account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes,
			declared_ingress_bytes, declared_egress_bytes, recorded_at
		FROM usage_adjustments WHERE seal_hour = $1 ORDER BY epoch, account_id, bucket_id, key_id, class COLLATE "C", hour`, s.Hour); err != nil {
		return err
	}
	if !s.before2 {
		if s.Samples, err = hashSamples(ctx, q, h, s.Hour, s.Previous == Digest{}); err != nil {
			return err
		}
	}
	h.Sum(s.Hash[:0])
	return nil
}

// hashRows adds rows to h, and how many they were.
func hashRows(ctx context.Context, q pg.Querier, h hash.Hash, sql string, hour time.Time) (n int64, err error) {
	rows, err := q.Query(ctx, sql, hour)
	if err != nil {
		return 0, err
	}
	var epoch, account, bucket, key rowid.ID
	var class string
	var of, at time.Time
	var t Totals
	into := []any{&epoch, &account, &bucket, &key, &class, &of, &t.Requests, &t.Ingress, &t.Egress, &t.DeclaredIngress, &t.DeclaredEgress, &at}
	b := make([]byte, 0, 256)
	_, err = pgx.ForEachRow(rows, into, func() error {
		b = append(b[:0], 'r')
		for _, id := range [...]*rowid.ID{&epoch, &account, &bucket, &key} {
			b = append(b, id[:]...)
		}
		b = append(binary.AppendUvarint(b, uint64(len(class))), class...)
		for _, n := range [...]int64{t.Requests, t.Ingress, t.Egress, t.DeclaredIngress, t.DeclaredEgress} {
			b = binary.BigEndian.AppendUint64(b, uint64(n))
		}
		b = appendTimes(b, of, at)
		_, _ = h.Write(b)
		n++
		return nil
	})
	_, _ = h.Write(binary.BigEndian.AppendUint64([]byte{'n'}, uint64(n)))
	if err != nil {
		return 0, fmt.Errorf("usage of %s: %w", hour.Format(time.RFC3339), err)
	}
	return n, nil
}

// hashSamples adds samples to h, and how many they were. The first seal covers
// those of before it.
func hashSamples(ctx context.Context, q pg.Querier, h hash.Hash, hour time.Time, first bool) (n int64, err error) {
	rows, err := q.Query(ctx, `SELECT bucket_id, account_id, hour, current_bytes, noncurrent_bytes, incomplete_bytes, objects, noncurrent_versions, delete_markers, uploads,
			source, started_at, measured_at
		FROM storage_samples WHERE seal_hour = $1 OR $2 AND seal_hour < $1 ORDER BY bucket_id, hour`, hour, first)
	if err != nil {
		return 0, err
	}
	var bucket, account rowid.ID
	var figures [7]int64 // from current_bytes to uploads
	var source string
	var of, started, measured time.Time
	into := []any{&bucket, &account, &of}
	for i := range figures {
		into = append(into, &figures[i])
	}
	into = append(into, &source, &started, &measured)
	b := make([]byte, 0, 256)
	_, err = pgx.ForEachRow(rows, into, func() error {
		b = append(append(append(b[:0], 's'), bucket[:]...), account[:]...)
		for _, n := range figures {
			b = binary.BigEndian.AppendUint64(b, uint64(n))
		}
		b = append(binary.AppendUvarint(b, uint64(len(source))), source...)
		b = appendTimes(b, of, started, measured)
		_, _ = h.Write(b)
		n++
		return nil
	})
	_, _ = h.Write(binary.BigEndian.AppendUint64([]byte{'n'}, uint64(n)))
	if err != nil {
		return 0, fmt.Errorf("samples of %s: %w", hour.Format(time.RFC3339), err)
	}
	return n, nil
}

func appendTimes(b []byte, times ...time.Time) []byte {
	for _, t := range times {
		b = binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro()))
	}
	return b
}

func insertSeal(ctx context.Context, q pg.Querier, s Seal) error {
	_, err := q.Exec(ctx, `INSERT INTO usage_seals (hour, rows, adjustments, samples, previous, hash, key_id, hmac, sealed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		s.Hour, s.Rows, s.Adjustments, s.Samples, s.Previous[:], s.Hash[:], s.KeyID, s.HMAC, s.SealedAt)
	return err
}

// seals are those of the hours from one until before another, in their order.
func seals(ctx context.Context, q pg.Querier, from, to time.Time) ([]Seal, error) {
	rows, err := q.Query(ctx, `SELECT hour, rows, adjustments, coalesce(samples, 0), samples IS NULL, previous, hash, key_id, hmac, sealed_at FROM usage_seals
		WHERE hour >= $1 AND hour < $2 ORDER BY hour`, from, to)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (s Seal, err error) {
		var previous, hash []byte
		err = r.Scan(&s.Hour, &s.Rows, &s.Adjustments, &s.Samples, &s.before2, &previous, &hash, &s.KeyID, &s.HMAC, &s.SealedAt)
		copy(s.Previous[:], previous)
		copy(s.Hash[:], hash)
		s.Hour = s.Hour.UTC()
		return s, err
	})
}

// newest is the last seal, zero when there is none.
func newest(ctx context.Context, q pg.Querier) (s Seal, err error) {
	var hour *time.Time
	if err := q.QueryRow(ctx, `SELECT max(hour) FROM usage_seals`).Scan(&hour); err != nil || hour == nil {
		return Seal{}, err
	}
	all, err := seals(ctx, q, *hour, hour.Add(time.Hour))
	if err != nil || len(all) == 0 {
		return Seal{}, err
	}
	return all[0], nil
}
