package tenancy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/primecloudpro/primecloud/internal/finding"
	"github.com/primecloudpro/primecloud/internal/pg"
)

// Client returns an S3 client of the backend, by any of its endpoints, for
// control calls. The data path has a transport of its own.
func (b *Backend) Client() (*minio.Client, error) {
	if len(b.Endpoints) == 0 {
		return nil, fmt.Errorf("backend %s: it has no endpoint", b.Name)
	}
	return b.clientAt(b.Endpoints[0], true)
}

// Clients returns one client for each endpoint, in their order.
func (b *Backend) Clients() ([]*minio.Client, error) {
	list := make([]*minio.Client, 0, len(b.Endpoints))
	for _, e := range b.Endpoints {
		c, err := b.clientAt(e, false)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// clientAt is a client of the endpoint, or one that is called so and uses them all.
func (b *Backend) clientAt(endpoint string, all bool) (*minio.Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("backend %s: endpoint: %w", b.Name, err)
	}
	one, err := b.transport(u.Scheme == "https")
	if err != nil {
		return nil, err
	}
	var transport http.RoundTripper = one
	if all {
		if transport, err = b.overAll(one); err != nil {
			return nil, err
		}
	}
	c, err := minio.New(u.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(b.AccessKeyID, b.SecretKey, ""),
		Secure:       u.Scheme == "https",
		Region:       b.Region,
		Transport:    transport,
		BucketLookup: minio.BucketLookupPath,
		MaxRetries:   3,
	})
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", b.Name, err)
	}
	return c, nil
}

// HTTPClient trusts what Client trusts, for checks below the level of S3 clients.
func (b *Backend) HTTPClient() (*http.Client, error) {
	t, err := b.transport(true)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: t, Timeout: 30 * time.Second}, nil
}

func (b *Backend) transport(secure bool) (*http.Transport, error) {
	t, err := minio.DefaultTransport(secure)
	if err != nil || b.CA == "" {
		return t, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(b.CA)) {
		return nil, fmt.Errorf("backend %s: %w", b.Name, errCA)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return t, nil
}

var errCA = errors.New("the CA holds no certificate in PEM form")

// Check asks every endpoint for the list of buckets: it answers, and takes the
// credential.
func (b *Backend) Check(ctx context.Context) error {
	if err := b.check(); err != nil {
		return err
	}
	var errs []error
	for _, e := range b.Endpoints {
		c, err := b.clientAt(e, false)
		if err == nil {
			_, err = c.ListBuckets(ctx)
		}
		if err != nil {
			errs = append(errs, b.unusable(e, err))
		}
	}
	return errors.Join(errs...)
}

// unusable says why an endpoint does not do, and what to do.
func (b *Backend) unusable(endpoint string, err error) error {
	var unknown x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	var op *net.OpError
	why := err.Error() + "; correct endpoint, region or credential"
	switch code := minio.ToErrorResponse(err).Code; {
	case errors.As(err, &unknown):
		why = "its certificate is signed by an unknown authority; name the file of the authority's certificate: --ca-file=FILE"
	case errors.As(err, &wrongHost):
		why = "its certificate is for another name; write the endpoint with a name that is in it"
	case errors.Is(err, http.ErrSchemeMismatch):
		why = "it speaks no TLS; write http:// instead of https://"
	case code == "InvalidAccessKeyId", code == "SignatureDoesNotMatch":
		why = "it refuses the credential (" + code + "); correct the access key id and the secret key"
	case code == "AccessDenied":
		why = "the credential may not list buckets; give its user the right s3:*"
	case errors.As(err, &op):
		why = "it cannot be reached (" + op.Err.Error() + "); check that it runs, and host and port"
	}
	return finding.Worded(err, fmt.Sprintf("the backend %s at %s: %s", b.Name, endpoint, why))
}

// CreateBucket makes an empty bucket for an account in the backend, as the
// gateway does: the ownership record first. It is the operator's, whom no
// number of buckets bounds. It needs the private keyring.
func (s *Store) CreateBucket(ctx context.Context, q pg.Querier, account ID, name string) (*Bucket, error) {
	b, err := ReserveBucket(ctx, q, account, name, false, 0)
	if err != nil {
		return nil, about(name, err)
	}
	if err := s.makeBucket(ctx, q, b); err != nil {
		return nil, errors.Join(err, dropBucket(context.WithoutCancel(ctx), q, b.ID, "creating"))
	}
	return b, moveBucket(ctx, q, b.ID, "creating", "active")
}

func (s *Store) makeBucket(ctx context.Context, q pg.Querier, b *Bucket) error {
	backend, err := s.Backend(ctx, q, b.BackendID)
	if err != nil {
		return err
	}
	c, err := backend.Client()
	if err != nil {
		return err
	}
	return wrapf(c.MakeBucket(ctx, b.BackendName, minio.MakeBucketOptions{Region: backend.Region}), "backend %s", backend.Name)
}

// TakeOver gives an account a bucket that exists in a backend and that nobody
// owns; backend "" is the default one. It returns ErrBucketUnknown when the
// backend has none of that name. It needs the private keyring.
func (s *Store) TakeOver(ctx context.Context, q pg.Querier, account ID, name, backend, backendBucket string) (*Bucket, error) {
	if err := CheckBucketName(name); err != nil {
		return nil, about(name, err)
	}
	b, err := s.BackendByName(ctx, q, backend)
	if err != nil {
		return nil, err
	}
	c, err := b.Client()
	if err != nil {
		return nil, err
	}
	there, err := c.BucketExists(ctx, backendBucket)
	switch answer := minio.ToErrorResponse(err); {
	case err == nil, answer.Code == "InvalidBucketName", answer.StatusCode == http.StatusBadRequest: // no bucket has such a name
	default:
		return nil, fmt.Errorf("backend %s: %w", b.Name, err)
	}
	if !there {
		return nil, finding.Worded(ErrBucketUnknown, fmt.Sprintf("the backend %s has no bucket %q; `primecloud bucket sync` lists those that nobody owns", b.Name, backendBucket))
	}
	// Object lock cannot be taken back, so that asking once is enough.
	lock, _, _, _, err := c.GetObjectLockConfig(ctx, backendBucket)
	if err != nil && minio.ToErrorResponse(err).Code != "ObjectLockConfigurationNotFoundError" {
		return nil, fmt.Errorf("backend %s: %w", b.Name, err)
	}
	taken, err := ImportBucket(ctx, q, account, name, b.ID, backendBucket, err == nil && lock == "Enabled")
	return taken, about(name, err)
}
