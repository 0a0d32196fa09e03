package proxy

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/tenancy"
)

var (
	errExpired  = &s3err.Error{Code: "AccessDenied", Message: "The access key has expired."}
	errNetwork  = &s3err.Error{Code: "AccessDenied", Message: "The access key may not be used from this network."}
	errRight    = &s3err.Error{Code: "AccessDenied", Message: "The access key does not have the right that this operation needs."}
	errScope    = &s3err.Error{Code: "AccessDenied", Message: "The access key is limited to other buckets or another prefix."}
	errReadOnly = &s3err.Error{Code: "AccessDenied", Message: "The account is read-only; contact support."}
	errStopped  = &s3err.Error{Code: "AccountProblem"}
)

// authorize decides whether this caller may do this here. Nothing is looked up
// in the backend before it (S3-RULES.md A15).
func authorize(x *exchange) error {
	if x.op.Body == s3op.Form {
		return nil // authorizeForm does the same for a form
	}
	bucket, err := x.decide(x.srv.ctx, x.started, true)
	if err != nil {
		return err
	}
	x.bucket = bucket
	if bucket != nil {
		if err := x.expectedOwner("x-amz-expected-bucket-owner"); err != nil {
			return err
		}
		if x.op.CopySource {
			if err := x.authorizeSource(); err != nil {
				return err
			}
		}
	}
	x.allow()
	return nil
}

// allow says that the request may go on. From here on it is held to decide
// again and again.
func (x *exchange) allow() { x.allowed, x.checked = true, x.started }

// decide is what may change under a request that takes long: it runs before the
// request's first byte and again until its last (recheck.go). The bucket is nil
// where the operation has none yet. A write that does not commit now goes on while
// its bucket is being deleted: that fails more often than not.
func (x *exchange) decide(ctx context.Context, now time.Time, commits bool) (*tenancy.Bucket, error) {
	if err := x.mayAct(now); err != nil {
		return nil, err
	}
	if x.level == s3op.Service {
		return nil, nil
	}
	if err := x.mayTouch(x.bucketName, x.key); err != nil {
		return nil, err
	}
	if x.op.MakesBucket {
		return nil, nil
	}
	bucket, err := x.findBucket(ctx)
	if err != nil {
		return nil, err
	}
	if commits {
		if err := x.settled(bucket); err != nil {
			return nil, err
		}
	}
	if x.bucket != nil && bucket.ID != x.bucket.ID {
		return nil, tenancy.ErrBucketUnknown // another one took its name
	}
	if x.identity == nil && bucket.PublicBlocked {
		return nil, errDenied
	}
	return bucket, nil
}

func (x *exchange) findBucket(ctx context.Context) (*tenancy.Bucket, error) {
	if x.identity == nil {
		return x.srv.cfg.Directory.BucketForAnyone(ctx, x.account.ID, x.bucketName)
	}
	return x.srv.cfg.Directory.Bucket(ctx, x.account.ID, x.bucketName)
}

// mayAct checks account and key, without regard to the bucket.
func (x *exchange) mayAct(now time.Time) error {
	switch x.account.Status {
	case tenancy.Active:
	case tenancy.ReadOnly:
		if x.op.Writes() && x.op.Permission&tenancy.Delete == 0 {
			return errReadOnly
		}
	default:
		return errStopped
	}
	id := x.identity
	if id == nil {
		return nil
	}
	if !id.ExpiresAt.IsZero() && !now.Before(id.ExpiresAt) {
		return errExpired
	}
	if len(id.CIDRs) > 0 && !slices.ContainsFunc(id.CIDRs, containsAddr(x)) {
		return errNetwork
	}
	if id.Permission&x.op.Permission != x.op.Permission {
		return errRight
	}
	if v, _ := x.header("x-amz-bypass-governance-retention"); equalFold(v, "true") && x.op.Headers&s3op.Bypass != 0 && id.Permission&tenancy.BypassGovernance == 0 {
		return errRight
	}
	return nil
}

func containsAddr(x *exchange) func(netip.Prefix) bool {
	addr := x.remote
	return func(p netip.Prefix) bool { return p.Contains(addr) }
}

// mayTouch checks the key's buckets and prefix against a bucket and an object
// key of it; an empty object key means the bucket itself.
func (x *exchange) mayTouch(bucket, key []byte) error {
	id := x.identity
	if id == nil {
		return nil
	}
	if id.Buckets != nil && !slices.Contains(id.Buckets, string(bucket)) {
		return errScope
	}
	if id.Prefix == "" {
		return nil
	}
	if len(key) > 0 {
		if !bytes.HasPrefix(key, []byte(id.Prefix)) {
			return errScope
		}
		return nil
	}
	switch x.op.Keys {
	case s3op.UnderPrefix:
		prefix, _ := x.param("prefix")
		if !strings.HasPrefix(string(prefix), id.Prefix) {
			return errScope
		}
	case s3op.NoKeys, s3op.InBody:
	default:
		return errScope
	}
	return nil
}

// expectedOwner compares the owner that the client expects with the account;
// MinIO ignores the header (S3-RULES.md D19).
func (x *exchange) expectedOwner(name string) error {
	if want, ok := x.header(name); ok && string(want) != x.account.CanonicalID {
		return errDenied
	}
	return nil
}
