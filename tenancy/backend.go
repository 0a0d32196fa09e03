package tenancy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// Client is a control-plane client of the backend; the data path has its own.
func (b *Backend) Client() (*minio.Client, error) {
	u, err := url.Parse(b.Endpoints[0])
	if err != nil {
		return nil, err
	}
	o := &minio.Options{Creds: credentials.NewStaticV4(b.AccessKeyID, b.SecretKey, ""), Secure: u.Scheme == "https", Region: b.Region}
	if b.CA != "" {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(b.CA)) {
			return nil, fmt.Errorf("backend %s: its CA is not PEM", b.Name)
		}
		o.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	}
	return minio.New(u.Host, o)
}

// Check proves that the credential works, without changing anything.
func (b *Backend) Check(ctx context.Context) error {
	c, err := b.Client()
	if err != nil {
		return err
	}
	if _, err := c.ListBuckets(ctx); err != nil {
		return fmt.Errorf("backend %s at %s: %w", b.Name, b.Endpoints[0], err)
	}
	return nil
}

// CreateBucket makes a bucket for an account, record first, as the gateway
// does on CreateBucket. The keyring must open the backend's credential.
func (s *Store) CreateBucket(ctx context.Context, q pg.Querier, account ID, name string) (*Bucket, error) {
	bucket, err := s.ReserveBucket(ctx, q, account, name, false)
	if err != nil {
		return nil, err
	}
	err = s.makeInBackend(ctx, q, bucket)
	if err != nil {
		return nil, errors.Join(err, s.dropBucket(ctx, q, bucket.ID, "creating"))
	}
	return bucket, s.moveBucket(ctx, q, bucket.ID, "creating", "active")
}

func (s *Store) makeInBackend(ctx context.Context, q pg.Querier, bucket *Bucket) error {
	b, err := s.Backend(ctx, q, bucket.BackendID)
	if err != nil {
		return err
	}
	c, err := b.Client()
	if err != nil {
		return err
	}
	err = c.MakeBucket(ctx, bucket.BackendName, minio.MakeBucketOptions{Region: b.Region})
	if minio.ToErrorResponse(err).Code == minio.BucketAlreadyOwnedByYou {
		return nil // an earlier attempt got this far
	}
	return err
}

// TakeOver imports a bucket that exists in the backend.
func (s *Store) TakeOver(ctx context.Context, q pg.Querier, account ID, name, backend, backendName string) (*Bucket, error) {
	b, err := s.BackendByName(ctx, q, backend)
	if err != nil {
		return nil, err
	}
	c, err := b.Client()
	if err != nil {
		return nil, err
	}
	there, err := c.BucketExists(ctx, backendName)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", b.Name, err)
	}
	if !there {
		return nil, fmt.Errorf("backend %s has no bucket %q", b.Name, backendName)
	}
	return s.ImportBucket(ctx, q, account, name, b.ID, backendName)
}

// RewrapSecrets moves every sealed secret to the keyring's newest key and
// returns how many were moved. Run it in a transaction.
func (s *Store) RewrapSecrets(ctx context.Context, q pg.Querier) (moved int, err error) {
	for _, t := range [...]struct{ table, column string }{{"access_keys", "sealed_secret"}, {"backends", "sealed_credential"}} {
		n, err := s.rewrapTable(ctx, q, t.table, t.column)
		if err != nil {
			return moved, err
		}
		moved += n
	}
	return moved, nil
}

func (s *Store) rewrapTable(ctx context.Context, q pg.Querier, table, column string) (int, error) {
	rows, err := q.Query(ctx, `SELECT id, `+column+` FROM `+table+` FOR UPDATE`)
	if err != nil {
		return 0, err
	}
	sealed := map[ID][]byte{}
	for rows.Next() {
		var id ID
		var b []byte
		if err := rows.Scan(&id, &b); err != nil {
			rows.Close()
			return 0, err
		}
		sealed[id] = b
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	moved := 0
	for id, b := range sealed {
		next, changed, err := s.Keyring.Rewrap(place(table, column, id), b)
		if err != nil {
			return moved, fmt.Errorf("%s %s: %w", table, id, err)
		}
		if !changed {
			continue
		}
		if _, err := q.Exec(ctx, `UPDATE `+table+` SET `+column+` = $2 WHERE id = $1`, id, next); err != nil {
			return moved, err
		}
		moved++
	}
	return moved, nil
}
