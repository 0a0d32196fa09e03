// Package usage has the words that counting, the ledger and the access log share:
// whose usage it is, how it is priced, and how much. It does no I/O.
package usage

import (
	"fmt"
	"slices"
	"time"

	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// Class is how an operation is priced.
type Class uint8

// The classes: writes and lists, reads, free ones, and what is recorded but
// not billed (401, 403, 5xx and internal control traffic).
const (
	ClassA Class = iota + 1
	ClassB
	ClassFree
	ClassUnbilled
)

var classNames = [...]string{ClassA: "A", ClassB: "B", ClassFree: "free", ClassUnbilled: "unbilled"}

func (c Class) String() string {
	if c.Known() {
		return classNames[c]
	}
	return "-"
}

// MarshalText and UnmarshalText make JSON show the class's name.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes; "-" is no class.
func (c *Class) UnmarshalText(text []byte) error {
	*c = 0
	if i := slices.Index(classNames[1:], string(text)); i >= 0 {
		*c = Class(i + 1)
	} else if string(text) != "-" {
		return fmt.Errorf("metering: %q is no class", text)
	}
	return nil
}

// Known reports whether c is one of the classes.
func (c Class) Known() bool { return c >= ClassA && c <= ClassUnbilled }

// Key names a series: whose usage it is, and of which class. Zero ids are the "-"
// series: only ids that were looked up may be given, so that names which a client
// invents add nothing. A Class that does not exist counts as ClassUnbilled.
type Key struct {
	Account, Bucket, AccessKey rowid.ID
	Class                      Class
}

// Delta is what one request has added to one series in one hour. A request that
// outlives an hour, or changes its class, has several.
type Delta struct {
	Class           Class     `json:"class"`
	Hour            time.Time `json:"hour"` // its beginning, UTC
	Requests        int64     `json:"requests"`
	Ingress         int64     `json:"ingress_bytes"`
	Egress          int64     `json:"egress_bytes"`
	DeclaredIngress int64     `json:"declared_ingress_bytes"`
	DeclaredEgress  int64     `json:"declared_egress_bytes"`
}

// IsZero reports whether nothing was counted.
func (d *Delta) IsZero() bool {
	return d.Requests == 0 && d.Ingress == 0 && d.Egress == 0 && d.DeclaredIngress == 0 && d.DeclaredEgress == 0
}

// Add adds the numbers of another delta.
func (d *Delta) Add(other *Delta) {
	d.Requests += other.Requests
	d.Ingress += other.Ingress
	d.Egress += other.Egress
	d.DeclaredIngress += other.DeclaredIngress
	d.DeclaredEgress += other.DeclaredEgress
}
