package tenancy

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
)

// regionForm is what can stand in a signature's scope.
var regionForm = regexp.MustCompile(`^[A-Za-z0-9-]{1,63}$`)

type credential struct{ ID, Secret string }

func (b *Backend) check() error {
	var errs []error
	if err := CheckAccountName(b.Name); err != nil {
		errs = append(errs, about(b.Name, fmt.Errorf("%w: a backend's name is 1 to 63 lower-case letters, digits and hyphens, not beginning or ending with a hyphen", ErrInvalidName)))
	}
	if len(b.Endpoints) == 0 {
		errs = append(errs, errors.New("tenancy: a backend needs at least one endpoint; write --endpoints=http(s)://host:port"))
	}
	for _, e := range b.Endpoints {
		u, err := url.Parse(e)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			errs = append(errs, fmt.Errorf("tenancy: endpoint %q is not an address; write http(s)://host:port", e))
		}
	}
	if !regionForm.MatchString(b.Region) {
		errs = append(errs, fmt.Errorf("tenancy: %q is not a region; write it as the server is configured with it, like us-east-1", b.Region))
	}
	if b.AccessKeyID == "" || b.SecretKey == "" {
		errs = append(errs, errors.New("tenancy: a backend needs an access key id and a secret key; name their files, --access-key-file and --secret-key-file, or set BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY"))
	}
	if b.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(b.CA)) {
		errs = append(errs, fmt.Errorf("tenancy: %w", errCA))
	}
	if b.Kind != "" && b.Kind != BackendMinIO && b.Kind != BackendS3 {
		errs = append(errs, fmt.Errorf("tenancy: there is no kind of backend %q; write %s or %s", b.Kind, BackendMinIO, BackendS3))
	}
	return errors.Join(errs...)
}

// sealCredential seals a backend's credential, and binds the row to it.
func (s *Store) sealCredential(b *Backend) (sealed, binding []byte, err error) {
	plain, err := json.Marshal(credential{b.AccessKeyID, b.SecretKey})
	if err != nil {
		return nil, nil, err
	}
	if sealed, err = s.Keyring.Seal(backendPlace(b.ID), plain); err != nil {
		return nil, nil, err
	}
	return sealed, s.Keyring.Bind(backendPlace(b.ID), secret.Hash(sealed), b.facts()), nil
}

func (b *Backend) trimSlashes() {
	b.Endpoints = slices.Clone(b.Endpoints)
	for i, e := range b.Endpoints {
		b.Endpoints[i] = strings.TrimSuffix(e, "/")
	}
}

// AddBackend adds a backend. The first one becomes the default, as does any
// that asks for it.
func (s *Store) AddBackend(ctx context.Context, q pg.Querier, b Backend) (*Backend, error) {
	if b.Region == "" {
		b.Region = "us-east-1"
	}
	if b.Kind == "" {
		b.Kind = BackendMinIO
	}
	b.trimSlashes()
	if err := b.check(); err != nil {
		return nil, err
	}
	b.ID = NewID()
	sealed, binding, err := s.sealCredential(&b)
	if err != nil {
		return nil, err
	}
	err = pg.InTx(ctx, q, func(tx pgx.Tx) error {
		// One at a time, so that there is one default.
		if _, err := tx.Exec(ctx, `LOCK TABLE backends IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		if b.Default {
			if _, err := tx.Exec(ctx, `UPDATE backends SET is_default = false WHERE is_default`); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `INSERT INTO backends (id, name, endpoints, region, ca, sealed_credential, binding, kind, is_default)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9 OR NOT EXISTS (SELECT FROM backends WHERE is_default)) RETURNING is_default`,
			b.ID, b.Name, b.Endpoints, b.Region, b.CA, sealed, binding, b.Kind, b.Default).Scan(&b.Default)
	})
	if pg.IsUnique(err) {
		return nil, about(b.Name, ErrBackendExists)
	}
	if err != nil {
		return nil, fmt.Errorf("add backend: %w", err)
	}
	return &b, nil
}

// RotateBackend replaces a backend's credential, and its endpoints when some are given.
func (s *Store) RotateBackend(ctx context.Context, q pg.Querier, name, accessKeyID, secretKey string, endpoints []string) error {
	return s.ChangeBackend(ctx, q, name, func(b *Backend) {
		b.AccessKeyID, b.SecretKey = accessKeyID, secretKey
		if len(endpoints) > 0 {
			b.Endpoints = endpoints
		}
	})
}

// ChangeBackend replaces a backend's credential, endpoints and CA; change sets
// them, the credential in any case. It returns ErrBackendChanged for one that was
// changed without the keyring: the new credential would be sent to the endpoints
// that the change set.
func (s *Store) ChangeBackend(ctx context.Context, q pg.Querier, name string, change func(*Backend)) error {
	return pg.InTx(ctx, q, func(tx pgx.Tx) error {
		b, _, err := s.checkedBackend(tx.QueryRow(ctx, `SELECT `+backendColumns+` FROM backends WHERE name = $1 FOR UPDATE`, name))
		if err != nil {
			return about(name, err)
		}
		next := *b
		change(&next)
		b.AccessKeyID, b.SecretKey, b.Endpoints, b.CA = next.AccessKeyID, next.SecretKey, next.Endpoints, next.CA
		b.trimSlashes()
		if err := b.check(); err != nil {
			return err
		}
		sealed, binding, err := s.sealCredential(b)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE backends SET sealed_credential = $2, binding = $3, endpoints = $4, ca = $5, updated_at = now() WHERE id = $1`,
			b.ID, sealed, binding, b.Endpoints, b.CA)
		return err
	})
}

// RemoveBackend forgets a backend that no bucket lives on, and returns it without its
// credential. It needs no keyring, and the owner's role.
func RemoveBackend(ctx context.Context, q pg.Querier, name string) (b *Backend, err error) {
	err = pg.InTx(ctx, q, func(tx pgx.Tx) error {
		// As AddBackend, so that there is a default as long as there is a backend.
		if _, err := tx.Exec(ctx, `LOCK TABLE backends IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		if b, _, _, err = scanBackend(tx.QueryRow(ctx, `SELECT `+backendColumns+` FROM backends WHERE name = $1`, name)); err != nil {
			return about(name, err)
		}
		tag, err := tx.Exec(ctx, `DELETE FROM backends WHERE id = $1 AND NOT (is_default AND EXISTS (SELECT FROM backends WHERE id <> $1))`, b.ID)
		switch {
		case pg.IsForeign(err):
			return fmt.Errorf("backend %s: buckets live on it, or accounts have it for theirs; it can be removed when there are none", name)
		case err == nil && tag.RowsAffected() == 0:
			return fmt.Errorf("backend %s: new buckets are put there; make another one the default first", name)
		}
		return err
	})
	return b, err
}

const backendColumns = `id, name, endpoints, region, ca, is_default, kind, sealed_credential, binding`

func scanBackend(row pgx.Row) (b *Backend, sealed, binding []byte, err error) {
	b = &Backend{}
	err = row.Scan(&b.ID, &b.Name, &b.Endpoints, &b.Region, &b.CA, &b.Default, &b.Kind, &sealed, &binding)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrBackendUnknown
	}
	return b, sealed, binding, err
}

// checkedBackend reads backendColumns and returns the backend without its
// credential, which is in sealed. It returns ErrBackendChanged for a row that
// somebody without the keyring changed.
func (s *Store) checkedBackend(row pgx.Row) (b *Backend, sealed []byte, err error) {
	b, sealed, binding, err := scanBackend(row)
	if err == nil {
		err = s.Keyring.CheckBinding(backendPlace(b.ID), secret.Hash(sealed), b.facts(), binding)
	}
	return b, sealed, changed(err, ErrBackendChanged, b.Name)
}

// openBackend is checkedBackend, and opens the credential.
func (s *Store) openBackend(row pgx.Row) (*Backend, error) {
	b, sealed, err := s.checkedBackend(row)
	if err != nil {
		return nil, err
	}
	plain, err := s.Keyring.Open(backendPlace(b.ID), sealed)
	if err != nil {
		return nil, changed(err, ErrBackendChanged, b.Name)
	}
	var c credential
	if err := json.Unmarshal(plain, &c); err != nil {
		return nil, fmt.Errorf("backend %s: the sealed credential is damaged", b.Name)
	}
	b.AccessKeyID, b.SecretKey = c.ID, c.Secret
	return b, nil
}

// Backend returns a backend with its credential.
func (s *Store) Backend(ctx context.Context, q pg.Querier, id ID) (*Backend, error) {
	return s.openBackend(q.QueryRow(ctx, `SELECT `+backendColumns+` FROM backends WHERE id = $1`, id))
}

// BackendByName returns a backend with its credential; "" is the default one.
func (s *Store) BackendByName(ctx context.Context, q pg.Querier, name string) (*Backend, error) {
	b, err := s.openBackend(q.QueryRow(ctx, `SELECT `+backendColumns+` FROM backends
		WHERE name = $1 OR ($1 = '' AND is_default)`, name))
	if name == "" && errors.Is(err, ErrBackendUnknown) {
		return nil, ErrNoBackend
	}
	return b, about(name, err)
}

// ListBackends returns all backends by name, as their rows are: without
// credentials, and without a check of the rows' bindings.
func ListBackends(ctx context.Context, q pg.Querier) ([]*Backend, error) {
	rows, err := q.Query(ctx, `SELECT `+backendColumns+` FROM backends ORDER BY name`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Backend, error) {
		b, _, _, err := scanBackend(r)
		return b, changed(err, ErrBackendChanged, b.Name)
	})
}
