package proxy

import (
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/tenancy"
)

// A request is charged beside its way through the stages: the ledger counts it in a
// cell, and the limiter lets it begin. Both hang on who has asked, which is known
// bit by bit, and on the status, which is known last. Nothing else calls
// Meter.Begin, Limiter.Admit, or the ends of what they bind.

// chargeState is how far that is. It only grows, within one request.
type chargeState uint8

const (
	// unbound: nothing is counted.
	unbound chargeState = iota
	// bound: bytes that move count in the cell of who was known to ask. A form's
	// cell is bound again when its fields say more.
	bound
	// admitted: the limiter was asked, once. What it granted is held; after a
	// refusal, nothing is.
	admitted
	// settled: the request is counted, and what it did not use is given back.
	settled
)

// bind binds the request to the ledger cell of what is known by now, unless it is
// bound.
func (x *exchange) bind() {
	if x.charge == unbound {
		x.rebind()
	}
}

// rebind binds the request to the cell of what is known by now, in place of another:
// before it is admitted, and before a byte of its body was counted.
func (x *exchange) rebind() {
	x.srv.cfg.Meter.Begin(&x.tally, x.meterKey())
	x.charge = bound
}

// meterKey is the ledger cell of the request: resolved ids only, so that
// invented names add nothing.
func (x *exchange) meterKey() usage.Key {
	k := usage.Key{Class: x.op.Counted(x.caller(), x.status)}
	if x.bucket != nil {
		k.Account, k.Bucket = x.bucket.AccountID, x.bucket.ID
	}
	if x.identity != nil {
		// Not the host's account: it may be another's, and the signature wrong.
		k.Account, k.AccessKey = x.identity.AccountID, x.identity.ID
	}
	return k
}

// caller is who asks, for the ledger.
func (x *exchange) caller() s3op.Caller {
	switch {
	case x.identity != nil && !x.authenticated:
		return s3op.Nobody // whose key it is has not asked for it
	case x.identity == nil && (x.bucket == nil || !x.public):
		return s3op.Nobody // an account that was only named is not charged, nor one that lets nobody in
	case x.identity == nil:
		return s3op.Anonymous
	case x.identity.Kind == tenancy.KindS3:
		return s3op.Customer
	}
	return s3op.Internal
}

// chargeRequest binds the request and asks the limiter whether it may begin, once. Its body
// will keep stores bytes. An account that was named but not proved is not charged,
// nor limited.
func (x *exchange) chargeRequest(stores int64) error {
	x.bind()
	if x.charge >= admitted || x.srv.cfg.Limiter == nil || x.account == nil || x.op == nil || x.identity == nil && x.bucket == nil {
		return nil
	}
	x.charge = admitted
	return x.srv.cfg.Limiter.Admit(x.srv.ctx, &x.grant, limits.Request{
		Account: x.account, Key: x.identity, Class: x.op.Class,
		Upload: max(x.length, 0), Stores: stores, Download: x.op.Response != s3op.Empty && x.op.Method != "HEAD",
	})
}

// stores is how many bytes the request's body will keep. A copy has none: its
// source is looked at in forward.
func (x *exchange) stores() int64 {
	if x.op.Body == s3op.Stream {
		return x.length
	}
	return 0
}

// chargeError is chargeRequest for a request that was refused with the document of x.local.
// When the refusal is billed, it is held to the limits as any response is. A refusal
// of theirs is not billed, and needs no leave of its own.
func (x *exchange) chargeError() error {
	x.bind()
	if !x.billed() {
		return nil
	}
	if err := x.chargeRequest(0); err != nil || len(x.local) == 0 {
		return err
	}
	return x.grant.Answer(x.srv.ctx, int64(len(x.local)))
}

// reclass says in which class what moves from now on counts: the status is known.
func (x *exchange) reclass() { x.tally.Reclass(x.op.Counted(x.caller(), x.status)) }

// billed reports whether the account pays for the request, as it was answered.
func (x *exchange) billed() bool {
	return x.op.Counted(x.caller(), x.status) != usage.ClassUnbilled
}

// settleCharge counts the request as it was answered, and gives back what it did
// not use.
func (x *exchange) settleCharge() {
	x.bind()
	x.reclass()
	x.tally.Request()
	x.grant.Settle(limits.Outcome{
		Billed: x.billed(), Sent: x.conn.Sent(), Received: x.received,
		// After a lost answer the object may be there, unless it, or its end, was kept back here.
		Stored: x.status < 400 || (x.status == 499 || x.status >= 500) && x.sent && x.received == x.length && x.body.err == nil,
	})
	x.charge = settled
}
