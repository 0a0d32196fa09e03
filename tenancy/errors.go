package tenancy

import "errors"

// What can be said of a look-up or a change. ErrUnavailable means "not known
// now", never "does not exist".
var (
	ErrAccountUnknown = errors.New("tenancy: account unknown")
	ErrAccountExists  = errors.New("tenancy: an account of that name exists")
	ErrKeyUnknown     = errors.New("tenancy: access key unknown")
	ErrKeyRetired     = errors.New("tenancy: the access key is revoked, expired or has a successor already")
	ErrKeyExists      = errors.New("tenancy: an access key of that id exists")
	ErrBucketUnknown  = errors.New("tenancy: bucket unknown")
	ErrBucketExists   = errors.New("tenancy: the account has a bucket of that name")
	ErrBucketBusy     = errors.New("tenancy: the bucket is being created or deleted")
	ErrBucketTaken    = errors.New("tenancy: the backend's bucket belongs to an account already")
	ErrBackendUnknown = errors.New("tenancy: backend unknown")
	ErrBackendExists  = errors.New("tenancy: a backend of that name exists")
	ErrNoBackend      = errors.New("tenancy: there is no backend to put the bucket on; add one with `primecloud backend add`")
	ErrUnavailable    = errors.New("tenancy: the database is away and nothing fresh enough is in memory")
	ErrInvalidLimit   = errors.New("tenancy: invalid limit")
	ErrInvalidName    = errors.New("tenancy: invalid name")
)
