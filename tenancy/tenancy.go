// Package tenancy holds accounts, their access keys and buckets,
// the backends that buckets live on, and the domains that name accounts. The
// functions that take a pg.Querier, and the methods of Store where the keyring is
// needed, read and write PostgreSQL; Directory is the view of it in memory that
// the data path reads.
package tenancy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// ID is a row's id. The zero ID stands for "none".
type ID = rowid.ID

// NewID makes an id: ids sort by age.
func NewID() ID { return rowid.New() }

// ParseID reads the form that ID.String writes.
func ParseID(s string) (ID, error) { return rowid.Parse(s) }

// Status is where an account is in its life.
type Status string

// The statuses. Only Active accounts may write; ReadOnly ones may read and delete.
const (
	Pending   Status = "pending"
	Active    Status = "active"
	ReadOnly  Status = "read_only"
	Suspended Status = "suspended"
	Closed    Status = "closed"
	Rejected  Status = "rejected"
)

var statuses = [...]Status{Pending, Active, ReadOnly, Suspended, Closed, Rejected}

// ParseStatus reads a status; a hyphen does for the underscore.
func ParseStatus(s string) (Status, error) {
	if i := slices.Index(statuses[:], Status(strings.ReplaceAll(s, "-", "_"))); i >= 0 {
		return statuses[i], nil
	}
	return "", fmt.Errorf("tenancy: unknown status %q; known are %q", s, statuses)
}

// Account is a customer of the operator.
type Account struct {
	ID          ID        `json:"id"`
	Name        string    `json:"name"` // a DNS label: <name>.<tenant domain>
	DisplayName string    `json:"display_name"`
	CanonicalID string    `json:"canonical_id"` // 64 hexadecimal digits: the Owner in S3 answers
	Status      Status    `json:"status"`
	CreatedAt   time.Time `json:"created_at"`
	Limits      *Limits   `json:"limits,omitempty"` // nil: none
}

// Kind is whose key it is.
type Kind string

// Customers' keys, and the internal ones that portal, SFTP and jobs sign with:
// short-lived, never listed. What portal, SFTP and jobs move goes through the
// gateway like a customer's request, so that one place authorises, limits and
// meters.
const (
	KindS3     Kind = "s3"
	KindPortal Kind = "portal"
	KindSFTP   Kind = "sftp"
	KindJob    Kind = "job"
)

// Identity is the holder of an access key, as the gateway sees it. It is
// immutable and shared; a changed key is another Identity.
type Identity struct {
	ID         ID
	KeyID      string
	Secret     string
	AccountID  ID
	Kind       Kind
	Permission Permission
	Buckets    []string // nil: every bucket of the account
	Prefix     string
	CIDRs      []netip.Prefix
	ExpiresAt  time.Time // zero: never
	Limits     *Limits   // of this key, beside its account's; nil: none
}

// Bucket is an account's bucket and where it lives.
type Bucket struct {
	ID            ID        `json:"id"`
	AccountID     ID        `json:"account_id"`
	Name          string    `json:"name"`
	BackendID     ID        `json:"backend_id"`
	BackendName   string    `json:"backend_name"`
	PublicBlocked bool      `json:"public_blocked"`
	ObjectLock    bool      `json:"object_lock"`
	CreatedAt     time.Time `json:"created_at"`

	Logging *BucketLogging `json:"logging,omitempty"` // nil: off

	// Deleting means that a deletion has begun: the bucket may be gone in a
	// moment, or not. It is there to be read; what is written now could be
	// acknowledged and lost, since backends do not keep the two apart.
	Deleting bool `json:"-"`
}

// Backend is an S3 server that buckets live on, with the credential that the
// gateway signs with. Key id and secret are both secrets.
type Backend struct {
	ID          ID
	Name        string
	Endpoints   []string // http(s)://host:port
	Region      string
	AccessKeyID string
	SecretKey   string
	CA          string // PEM, or "" for the system's
	Default     bool
	Kind        BackendKind
}

// BackendKind is what is known of the server behind a backend's endpoints: how
// it spells its ids, and what it takes names for.
type BackendKind string

// The kinds. BackendMinIO is the default; BackendS3 is any other S3 server, of
// which only what S3 itself says is assumed.
const (
	BackendMinIO BackendKind = "minio"
	BackendS3    BackendKind = "s3"
)
