package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy"
)

// ImportedSecret is the secret of all imported keys.
const ImportedSecret = "a secret that all of these share"

// ImportedKey is the id of the n-th imported key.
func ImportedKey(n int) string { return fmt.Sprintf("bench-imported-%07d", n) }

// ImportKeys brings the keys from, …, to-1 into the database by COPY, as keys
// that were issued elsewhere. Only those below usable have a secret of their
// own that opens: sealing a million takes minutes.
func (i *Installation) ImportKeys(ctx context.Context, from, to, usable int) error {
	text, err := os.ReadFile(i.lab.path("keyring"))
	if err != nil {
		return err
	}
	keyring, err := secret.Parse(text)
	if err != nil {
		return err
	}
	var account tenancy.ID
	if err := i.row(ctx, `SELECT id FROM accounts`, &account); err != nil {
		return err
	}
	store := &tenancy.Store{Keyring: keyring}
	ids, sealed, bindings := make([]tenancy.ID, to-from), make([][]byte, to-from), make([][]byte, to-from)
	var next atomic.Int64
	var g errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() (err error) {
			for n := int(next.Add(1)) - 1; n < len(ids); n = int(next.Add(1)) - 1 {
				ids[n] = tenancy.NewID()
				if n > 0 && from+n >= usable {
					continue
				}
				k := &tenancy.Key{ID: ids[n], KeyID: ImportedKey(from + n), Secret: ImportedSecret, AccountID: account, Kind: tenancy.KindS3, Permissions: tenancy.AllPermissions.Names()}
				if sealed[n], bindings[n], err = store.SealKey(k); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return i.copy(ctx, "access_keys", []string{"id", "key_id", "account_id", "kind", "sealed_secret", "binding", "permissions"}, len(ids), func(account [16]byte, n int) []any {
		s := sealed[n]
		if s == nil {
			s = sealed[0]
		}
		return []any{[16]byte(ids[n]), ImportedKey(from + n), account, "s3", s, bindings[n], tenancy.AllPermissions.Names()}
	})
}

// ImportedBucket is the name of the n-th imported bucket.
func ImportedBucket(n int) string { return fmt.Sprintf("imported-%07d", n) }

// ImportBuckets brings n buckets into the database by COPY.
func (i *Installation) ImportBuckets(ctx context.Context, n int) error {
	var backend [16]byte
	if err := i.row(ctx, `SELECT id FROM backends`, &backend); err != nil {
		return err
	}
	return i.copy(ctx, "buckets", []string{"id", "account_id", "name", "backend_id", "backend_name", "state"}, n, func(account [16]byte, k int) []any {
		return []any{[16]byte(tenancy.NewID()), account, ImportedBucket(k), backend, ImportedBucket(k), "active"}
	})
}

func (i *Installation) row(ctx context.Context, sql string, to any) error {
	conn, err := pgx.Connect(ctx, i.URL())
	if err != nil {
		return err
	}
	return errors.Join(conn.QueryRow(ctx, sql).Scan(to), conn.Close(ctx))
}

func (i *Installation) copy(ctx context.Context, table string, columns []string, n int, values func(account [16]byte, n int) []any) error {
	var id [16]byte
	if err := i.row(ctx, `SELECT id FROM accounts`, &id); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, i.URL())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `ALTER TABLE `+table+` DISABLE TRIGGER USER`) // a million notifications that nobody needs
	if err == nil {
		_, err = conn.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromSlice(n, func(k int) ([]any, error) { return values(id, k), nil }))
		_, aerr := conn.Exec(ctx, `ALTER TABLE `+table+` ENABLE TRIGGER USER; ANALYZE `+table)
		err = errors.Join(err, aerr)
	}
	return errors.Join(err, conn.Close(ctx))
}
