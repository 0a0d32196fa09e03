// Package accesslog keeps one line for each request, with what the ledger
// counted for it, in files of the node; and delivers to accounts that ask for
// it the lines about their buckets, in the format of S3's server access logs
// (docs/ACCESS-LOG.md).
package accesslog

import (
	"net/netip"
	"time"

	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Text is what a client sent. It is shown as text; what is not UTF-8 in it
// becomes U+FFFD in a file.
type Text []byte

// MarshalText makes JSON show the text.
func (t Text) MarshalText() ([]byte, error) { return t, nil }

// UnmarshalText copies b.
func (t *Text) UnmarshalText(b []byte) error {
	*t = append((*t)[:0], b...)
	return nil
}

func (t Text) String() string { return string(t) }

// Record is one request that is over. Its JSON is a line of the log; what is
// unknown is left out. Sums of Cells over all lines that are proven, and over each
// Sum, are the ledger's figures.
type Record struct {
	Time      time.Time  `json:"time"` // the head was read
	RequestID Text       `json:"request_id"`
	Node      string     `json:"node"`
	HostID    string     `json:"host_id"`
	Remote    netip.Addr `json:"remote_ip"`

	Operation string `json:"operation"` // a name of the operation table; "-" none
	Method    Text   `json:"method,omitempty"`
	Protocol  Text   `json:"protocol,omitempty"`
	Status    int    `json:"status"`
	ErrorCode string `json:"error,omitempty"` // S3's

	// The ledger's cell: zero ids are its "-".
	AccountID   tenancy.ID `json:"account_id"`
	BucketID    tenancy.ID `json:"bucket_id"`
	AccessKeyID tenancy.ID `json:"key_id"` // of the row; AccessKey is the public one
	// Delta is the sum over Parts, with the class and the hour of the last.
	usage.Delta
	// Parts is empty when all was counted in one cell.
	Parts []usage.Delta `json:"parts,omitempty"`

	// Whose name space was addressed, proven or not, and what in it.
	OwnerID   tenancy.ID `json:"owner_id"`
	Owner     string     `json:"owner,omitempty"` // the account's name
	Bucket    Text       `json:"bucket,omitempty"`
	Key       Text       `json:"key,omitempty"`
	VersionID Text       `json:"version_id,omitempty"`

	// Who asked: empty unless the signature was good.
	Requester string `json:"requester,omitempty"`  // the account's canonical id
	AccessKey string `json:"access_key,omitempty"` // the public id

	Auth      string `json:"auth"` // header, query, form or anonymous; "-" for a credential that nobody came to look at
	Target    Text   `json:"target,omitempty"`
	Host      Text   `json:"host,omitempty"`
	Referer   Text   `json:"referer,omitempty"`
	UserAgent Text   `json:"user_agent,omitempty"`
	TLS       string `json:"tls,omitempty"`    // crypto/tls's name of the version
	Cipher    string `json:"cipher,omitempty"` // crypto/tls's name of the suite

	// ObjectSize is the whole object's, whatever part of it was moved; -1 when
	// it is not known.
	ObjectSize int64         `json:"object_size"`
	Elapsed    time.Duration `json:"elapsed_ns"` // until the last byte of the answer
	Backend    time.Duration `json:"backend_ns"` // between the last byte to the backend and the first of its answer; 0: not asked
}

// Unproven reports whether anybody at all may have sent the request: there was
// no good signature. That is so of anonymous requests to public buckets too.
func (r *Record) Unproven() bool { return r.Requester == "" }

// Cells are the parts of the ledger that the request has added to.
func (r *Record) Cells() []usage.Delta {
	if len(r.Parts) > 0 {
		return r.Parts
	}
	return []usage.Delta{r.Delta}
}

// SetCounted takes over what a tally has counted. counted is kept.
func (r *Record) SetCounted(key usage.Key, counted []usage.Delta) {
	r.AccountID, r.BucketID, r.AccessKeyID = key.Account, key.Bucket, key.AccessKey
	r.Delta, r.Parts = usage.Delta{Class: key.Class}, nil
	for i := range counted {
		r.Add(&counted[i])
		r.Class, r.Hour = counted[i].Class, counted[i].Hour
	}
	if len(counted) > 1 {
		r.Parts = counted
	}
}

// Dropped stands in the place of lines that could not be written in time: the
// disk was full or slow. Its sums say what the ledger has of them.
type Dropped struct {
	Time    time.Time `json:"time"` // up to now, since the last such line or the beginning of the process
	Node    string    `json:"node"`
	Lines   int64     `json:"dropped"`
	Ingress int64     `json:"ingress_bytes"`
	Egress  int64     `json:"egress_bytes"`
}
