// Package s3op is the table of S3 operations: which requests are which
// operation, what right each needs, how it is billed, which query parameters
// and headers it may carry, and what the gateway does with it. It does no I/O.
//
// A new operation is a row in table.go and its tests. Nothing that the row does not
// name reaches a backend: MinIO falls through to the base operation on an unknown
// sub-resource (`DELETE /bucket?anything` deletes the bucket). What S3 itself has is
// refused where a row lacks it, and so is everything unknown on what changes
// something; what asks for nothing is read over (S3-RULES.md rule 3).
package s3op

import (
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Level is what a request addresses.
type Level uint8

// The three levels of the S3 name space.
const (
	Service Level = iota // no bucket: GET /
	Bucket
	Object
)

// Action says who answers.
type Action uint8

const (
	// Forward rebuilds the request for the backend.
	Forward Action = iota
	// Local is answered by the gateway from its own data.
	Local
)

// Body is what an operation's request body is.
type Body uint8

const (
	// NoBody: a body is an error.
	NoBody Body = iota
	// Stream is an object's or part's bytes.
	Stream
	// Document is an XML or JSON document of at most MaxDocument bytes, parsed and rebuilt.
	Document
	// Form is a browser's multipart/form-data upload.
	Form
)

// MaxDocument bounds request documents (S3-RULES.md A18): 10,000 parts with
// every checksum fit well inside.
const MaxDocument = 8 << 20

// Response is what a successful response's body is.
type Response uint8

const (
	// Empty answers carry headers only.
	Empty Response = iota
	// Bytes are an object's own, passed on untouched.
	Bytes
	// XML documents hold names that are mapped back.
	XML
	// JSON is a bucket policy.
	JSON
)

// Operation is a row of the table. Rows are immutable and shared.
type Operation struct {
	Name       string
	Method     string
	Level      Level
	Selector   string             // query parameter that selects the row; "" is the base operation of Method and Level
	CopySource bool               // selected by the presence of x-amz-copy-source as well
	Permission tenancy.Permission // rights the key needs; 0: any key of the account
	Class      usage.Class
	Action     Action
	Body       Body
	Response   Response
	Params     []string // further query parameters it may carry, passed on
	Headers    Group    // headers it may carry, passed on
	Told       Told     // headers of the backend's response, passed on
	Creates    bool     // makes an object of the key, or begins to
	Idempotent bool     // may be sent to the backend again while no byte of a response was seen
	Anonymous  bool     // may be asked without a signature, where the host names the account
	Note       string   // for the compatibility page

	Keys               Keys // of a bucket's operation: which of its keys it is about
	MakesBucket        bool // there is no bucket yet
	Empties            bool // goes on while the bucket is being deleted: it deletes what is in it, or the bucket
	NeedsDigest        bool // its document comes with a digest, or is refused
	WholeObjectDigests bool // checksums in its headers are of the object that it makes, not of its document
	LockDenies         bool // AccessDenied may mean that the object is locked

	// Parameters of another operation, with which the client has meant that one.
	meantFor map[string]*s3err.Error
}

// Keys says how an operation on a bucket is held to the prefix that an access key
// is limited to. Operations on objects name their key.
type Keys uint8

const (
	// The zero value: it is about the bucket as a whole, which is not for such a key.
	_ Keys = iota
	// NoKeys: it says and does nothing about any key.
	NoKeys
	// UnderPrefix: a listing of what is under its parameter prefix, which may not
	// look outside the key's.
	UnderPrefix
	// InBody: the body names keys, which are checked one by one.
	InBody
)

// Allows reports whether the operation takes the query parameter name.
func (o *Operation) Allows(name []byte) bool {
	for _, p := range o.Params {
		if p == string(name) {
			return true
		}
	}
	return false
}

// Takes reports whether the query parameter name has a meaning for the operation.
func (o *Operation) Takes(name []byte) bool {
	return string(name) == o.Selector && len(name) > 0 || o.Allows(name)
}

// Writes reports whether the operation changes the account's data or its
// configuration, which a read-only account may not.
func (o *Operation) Writes() bool {
	return o.Permission&(tenancy.Write|tenancy.Delete|tenancy.Manage) != 0 && o.Method != "GET" && o.Method != "HEAD"
}
