package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/socket"
	"github.com/primecloudpro/primecloud/tenancy"
)

// A transfer may last for hours: whether it may go on is decided again while it
// does, and at the one moment that cannot be taken back, before the last byte
// of an upload (docs/decisions/0024).

// recheckWait bounds what a transfer waits for PostgreSQL between two steps. The
// load itself goes on, and the next look finds what it brought.
const recheckWait = 500 * time.Millisecond

// recheckLast decides whether an upload or a document may be made to count. It
// waits for PostgreSQL as long as the request's beginning did. With everything
// in memory it waits for nothing and allocates nothing.
func (x *exchange) recheckLast() error { return x.recheck(x.srv.ctx, x.srv.cfg.now(), true) }

// recheckAt is asked between two steps of a body, with the time that is known
// there, and looks when Limits.Recheck has passed since the last look.
func (x *exchange) recheckAt(now time.Time, d limits.Direction) error {
	if !x.allowed || now.Sub(x.checked) < x.srv.cfg.Limits.Recheck || d == limits.Download && !x.gives() {
		return nil
	}
	ctx, cancel := context.WithTimeout(x.srv.ctx, recheckWait)
	defer cancel()
	return x.recheck(ctx, now, false)
}

// gives reports whether the response is something that its caller has to have a
// right to. A refusal is not; nor is the response to a write, which only says
// what has been done.
func (x *exchange) gives() bool { return x.status < 400 && !x.op.Writes() }

func (x *exchange) recheck(ctx context.Context, now time.Time, commits bool) error {
	if !x.allowed {
		return nil // authorize has not said yes: nothing is carried out
	}
	x.checked = now
	err := x.decideAgain(ctx, now, commits)
	if err == nil {
		return nil
	}
	x.ended = err
	if x.status != 0 {
		// The response has begun: the connection's end is all that can be said to
		// the client, and the log has the reason.
		x.code, x.cause = asS3(err).Code, err
	}
	return err
}

// decideAgain is nil while nothing is known to have changed: what cannot be
// asked just now leaves the answer as it was.
func (x *exchange) decideAgain(ctx context.Context, now time.Time, commits bool) error {
	err := x.refresh(ctx)
	if err == nil {
		_, err = x.decide(ctx, now, commits)
	}
	var own *s3err.Error
	switch {
	case err == nil, errors.Is(err, tenancy.ErrUnavailable):
		return nil
	case errors.Is(err, tenancy.ErrAccountUnknown):
		return errStopped
	case errors.As(err, &own), errors.Is(err, tenancy.ErrKeyUnknown), errors.Is(err, tenancy.ErrBucketUnknown):
		return err
	}
	return nil // a bucket in the middle of a change, say: not a no
}

// refresh takes key and account as they are now, as long as they are the same
// ones: a key that was deleted and issued again under its id is another key.
// What cannot be asked just now stays as it was, and is held to what can be
// told without asking: that it has expired, or what is known of the other.
func (x *exchange) refresh(ctx context.Context) error {
	dir := x.srv.cfg.Directory
	if old := x.identity; old != nil {
		id, err := dir.Identity(ctx, x.auth.AccessKeyID)
		switch {
		case errors.Is(err, tenancy.ErrUnavailable):
		case err != nil:
			return err
		case id != old && (id.ID != old.ID || id.AccountID != old.AccountID || id.Secret != old.Secret):
			return tenancy.ErrKeyUnknown
		default:
			x.identity = id
		}
	}
	account, err := dir.Account(ctx, x.account.ID)
	switch {
	case errors.Is(err, tenancy.ErrUnavailable):
	case err != nil:
		return err
	default:
		x.account = account
	}
	return nil
}

// byClient reports whether an error of the client's connection is its own doing: a
// reset, a broken TLS record, a route that is gone. Slowness has a response of its
// own, and we may have closed it.
func byClient(err error) bool {
	return err != nil && !errors.Is(err, socket.ErrSlow) && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, context.Canceled)
}

// clientLeft says of a success why its client has not had all of it, which is billed
// for what it took: that it left, or that it was too slow or this node stopped, which
// the line says beside the status. A refusal stays one.
func (x *exchange) clientLeft(err error) {
	switch {
	case x.status >= 400 || x.code != "":
	case byClient(err):
		x.status, x.code, x.cause = 499, "ClientDisconnected", err
	default:
		x.code, x.cause = asS3(err).Code, err
	}
}

// clientFailed remembers why no more can be read of the client's body. The
// readers above the connection would hide it: fasthttp's chunked reader keeps
// its text alone.
func (x *exchange) clientFailed(err error) {
	switch {
	case x.ended != nil, errors.Is(err, io.EOF):
	case byClient(err):
		x.ended = &s3err.Error{Code: "ClientDisconnected", Cause: err}
	default:
		x.ended = err
	}
}
