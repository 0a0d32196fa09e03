package tenancy

import (
	"errors"
	"fmt"
)

// What can be said of a look-up or a change. ErrUnavailable means "not known
// now", never "does not exist"; ErrCrowded comes with it and says why.
var (
	ErrAccountUnknown = error(sentinelError("tenancy: account unknown"))
	ErrAccountExists  = error(sentinelError("tenancy: an account of that name exists"))
	ErrDomainNotS3    = error(sentinelError("tenancy: the domain is for a website or the portal"))
	ErrKeyUnknown     = error(sentinelError("tenancy: access key unknown"))
	ErrKeyRetired     = error(sentinelError("tenancy: the access key is revoked, expired or has a successor already"))
	ErrKeyExists      = error(sentinelError("tenancy: an access key of that id exists"))
	ErrKeyChanged     = error(sentinelError("tenancy: the row of the access key is not as it was written"))
	ErrBucketUnknown  = error(sentinelError("tenancy: bucket unknown"))
	ErrBucketExists   = error(sentinelError("tenancy: the account has a bucket of that name"))
	ErrBucketBusy     = error(sentinelError("tenancy: the bucket is being created or deleted"))
	ErrBucketTaken    = error(sentinelError("tenancy: the backend's bucket belongs to an account already"))
	ErrBackendUnknown = error(sentinelError("tenancy: backend unknown"))
	ErrBackendExists  = error(sentinelError("tenancy: a backend of that name exists"))
	ErrBackendChanged = error(sentinelError("tenancy: the row of the backend is not as it was written"))
	ErrNoBackend      = error(sentinelError("tenancy: there is no backend to put the bucket on; add one with `primecloud backend add`"))
	ErrUnavailable    = error(sentinelError("tenancy: the database is away and nothing fresh enough is in memory"))
	// It comes as ErrUnavailable too: the row may be good.
	ErrNotOpened      = error(sentinelError("tenancy: this node's keyring does not open it; give the node the present keyring"))
	ErrCrowded        = error(sentinelError("tenancy: too many look-ups at once of what is not known yet"))
	ErrTooManyBuckets = error(sentinelError("tenancy: the account has as many buckets as it may"))
	// So many changes of a bucket's rules in an hour that none more is kept.
	ErrTooManyUploadRules = error(sentinelError("tenancy: the bucket's rules for unfinished uploads were changed too often within the hour"))
	ErrUploadRulesUnknown = error(sentinelError("tenancy: the bucket's document names rules for unfinished uploads that there are not"))
	ErrInvalidLimit       = error(sentinelError("tenancy: invalid limit"))
	ErrInvalidName        = error(sentinelError("tenancy: invalid name"))
)

// sentinelError is an error of this package: whatever else comes out of a
// change is PostgreSQL's.
type sentinelError string

func (e sentinelError) Error() string { return string(e) }

// NamedError is an error of this package about what somebody named: an account, a
// key's id, a bucket, a backend.
type NamedError struct {
	Err  error
	Name string
}

func (e *NamedError) Error() string { return fmt.Sprintf("%v: %q", e.Err, e.Name) }

func (e *NamedError) Unwrap() error { return e.Err }

// about says what an error of this package is about, if it does not yet.
func about(name string, err error) error {
	var own sentinelError
	var named *NamedError
	if !errors.As(err, &own) || errors.As(err, &named) {
		return err
	}
	return &NamedError{err, name}
}
