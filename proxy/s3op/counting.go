package s3op

import "github.com/primecloudpro/primecloud/metering/usage"

// CountingVersion names the rules of this file together with the classes of
// the table. It is raised whenever a request that was counted one way is
// counted another way: `make docs` refuses to change a line of the counting
// table in docs/METERING.md without it.
const CountingVersion = 2

// Caller is who asks, as far as it was proved.
type Caller uint8

// The callers. Requests of Nobody are in the cell of what they named and exists,
// a bucket or a key id, or else in the "-" cell; an Anonymous one's in the owner's
// of the bucket; those of a key in its account's.
const (
	Nobody    Caller = iota // a wrong signature too, and whom the bucket's policy does not let in
	Anonymous               // the backend has let it in: the bucket's policy has everyone in it
	Customer                // a customer's access key
	Internal                // a key of portal, SFTP or jobs
)

// Counted is the class that a request of o counts in. Status is that of its
// response; 0 while there is none: bytes that move before a response count in the
// class that they would have if all went well, and stay there. o is nil for
// what is no operation.
//
// What the operator's own software asks for beside objects' bytes (listings of
// the portal, SFTP's control traffic) is recorded, not billed.
func (o *Operation) Counted(by Caller, status int) usage.Class {
	switch {
	case o == nil, by == Nobody, unbilled(status):
		return usage.ClassUnbilled
	case by == Internal && !o.MovesObject():
		return usage.ClassUnbilled
	}
	return o.Class
}

// unbilled reports whether a response of this status is never billed: who may
// not is no customer, and a fault is the operator's.
func unbilled(status int) bool { return status == 401 || status == 403 || status >= 500 }

// MovesObject reports whether an object's bytes pass between client and
// gateway. Those of a copy do not.
func (o *Operation) MovesObject() bool {
	return o.Body == Stream || o.Body == Form || o.Response == Bytes
}

// Transfers says which bytes count as ingress and which as egress, for the page
// and for the test that holds the gateway to it. An error's document is
// egress too, in the class of its response.
func (o *Operation) Transfers() (ingress, egress string) {
	ingress = [...]string{NoBody: "", Stream: "object", Document: "document", Form: "the form's file"}[o.Body]
	egress = [...]string{Empty: "", Bytes: "object", XML: "document", JSON: "document"}[o.Response]
	return ingress, egress
}
