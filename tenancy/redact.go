package tenancy

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// What holds a secret prints without it, whatever the verb: a secret must not
// reach a log because someone logs the whole.

func (i *Identity) String() string { return fmt.Sprintf("key %s (%s)", i.KeyID, i.ID) }

// GoString is for %#v.
func (i *Identity) GoString() string { return i.String() }

// LogValue is for slog.
func (i *Identity) LogValue() slog.Value { return slog.StringValue(i.String()) }

func (k Key) String() string { return fmt.Sprintf("key %s (%s)", k.KeyID, k.ID) }

// GoString is for %#v.
func (k Key) GoString() string { return k.String() }

// LogValue is for slog.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

func (b Backend) String() string { return fmt.Sprintf("backend %s (%s)", b.Name, b.ID) }

// GoString is for %#v.
func (b Backend) GoString() string { return b.String() }

// LogValue is for slog.
func (b Backend) LogValue() slog.Value { return slog.StringValue(b.String()) }

// MarshalJSON leaves the credential out.
func (b Backend) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID        ID          `json:"id"`
		Name      string      `json:"name"`
		Kind      BackendKind `json:"kind"`
		Endpoints []string    `json:"endpoints"`
		Region    string      `json:"region"`
		CA        string      `json:"ca,omitempty"`
		Default   bool        `json:"default"`
	}{b.ID, b.Name, b.Kind, b.Endpoints, b.Region, b.CA, b.Default})
}
