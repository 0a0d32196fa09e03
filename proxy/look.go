package proxy

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/primecloudpro/primecloud/proxy/flatnames"
	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
	"github.com/primecloudpro/primecloud/proxy/upstream"
	"github.com/primecloudpro/primecloud/tenancy"
)

// MinIO keeps an object "a" in a folder "a", and its listings do not look into a
// folder that is an object: what is below it is stored and can be read, but no
// listing, sample, quota or invoice has it, nor can a client find it again. So an
// object is not made where it would hide others or be hidden
// (docs/decisions/0026). Whether it would is looked up beside the upload, and
// decided before its last byte goes on.

// look is one request's questions to the backend about the names around its key.
// It is used by the request and by the goroutine that asks, and ends with the
// later of them: with the request when that has heard what the other found, so
// that its names are free before its client has a response.
type look struct {
	claims flatnames.Claims
	client upstream.Client
	asks   *exchange // has memory, requests and answers of its own
	key    []byte
	names  bool // the client may be told names that it has not sent
	waits  bool // done has not been read
	err    error
	done   chan error
	failed atomic.Bool // done has an error
	users  atomic.Int32
	run    func() // bound once, so that starting it allocates nothing
}

var looks sync.Pool

func newLook() *look {
	if l, _ := looks.Get().(*look); l != nil {
		return l
	}
	l := &look{done: make(chan error, 1)}
	l.run = func() {
		err := l.ask()
		l.failed.Store(err != nil)
		if l.users.Add(-1) == 0 {
			l.end()
			return
		}
		l.done <- err // the last that this goroutine does with l
	}
	return l
}

// lookAround claims the names that the operation makes, and begins to ask about
// those that are not known.
func (x *exchange) lookAround() error {
	if !x.op.Creates || x.srv.names == nil || !x.minio() {
		return nil
	}
	l := newLook()
	l.key = append(l.key[:0], x.key...)
	l.users.Store(1)
	now := x.srv.sinceBegan()
	if !x.srv.names.Claim(&l.claims, x.bucket.ID, l.key, now) {
		l.end()
		x.srv.metrics.looks[lookRefused].Inc()
		return errNameInUse
	}
	x.look = l
	if l.claims.Known(now) {
		x.srv.metrics.looks[lookKnown].Inc()
		return nil
	}
	l.prepare(x)
	l.waits = true
	l.users.Add(1)
	go l.run()
	return nil
}

// sinceBegan is the clock of names. Both its ends have a reading of the monotonic
// clock: no step of the other one lengthens the memory.
func (s *Server) sinceBegan() time.Duration { return s.cfg.now().Sub(s.began) }

// errNameInUse is told to who would make an object of what another request is
// making a folder of, or the other way about.
var errNameInUse error = &s3err.Error{Code: "OperationAborted"}

// nameFree waits for what was found: nil if the object may be made. What was asked
// too long ago, before a long upload or for another request, is asked again.
func (x *exchange) nameFree() error {
	l := x.look
	if l == nil {
		return nil
	}
	if l.waits {
		l.waits, l.err = false, <-l.done
	}
	if l.err == nil && !l.claims.Known(x.srv.sinceBegan()) {
		l.prepare(x)
		l.err = l.ask()
	}
	return l.err
}

// nameTaken is the error of a look that has ended with one: an upload need not go
// on to its last byte then.
func (x *exchange) nameTaken() error {
	if x.look == nil || !x.look.failed.Load() {
		return nil
	}
	return x.nameFree()
}

// endLook lets go of the names: what was made is to be seen in the backend.
func (x *exchange) endLook() {
	l := x.look
	if l == nil {
		return
	}
	x.look = nil
	if l.users.Add(-1) > 0 {
		return
	}
	if l.waits {
		l.err = <-l.done
	}
	l.end()
}

// end is for the last that uses it.
func (l *look) end() {
	l.claims.Release()
	if l.asks != nil {
		l.asks.release()
	}
	*l = look{claims: l.claims, key: l.key[:0], done: l.done, run: l.run}
	looks.Put(l)
}

// prepare readies what the questions are asked with, as from x.
func (l *look) prepare(x *exchange) {
	if l.asks != nil {
		return
	}
	a := exchanges.Get().(*exchange)
	a.srv, a.id, a.remote, a.op = x.srv, x.id, x.remote, x.op
	a.identity, a.account, a.bucket, a.backend = x.identity, x.account, x.bucket, x.backend
	l.client, l.asks, l.names = x.conn, a, x.identity != nil && x.identity.Permission&tenancy.List != 0
}

// ask asks about every name that is not known.
func (l *look) ask() error {
	looks := l.asks.srv.metrics.looks
	err := l.claims.Ask(l.asks.srv.sinceBegan(), func(name []byte, kind flatnames.Kind) error {
		looks[lookAsked].Inc()
		if kind == flatnames.Folder {
			return l.askObject(name)
		}
		return l.askBelow(name)
	})
	var told *s3err.Error
	switch {
	case err == nil:
	case errors.As(err, &told) && told.Code == nameTakenCode:
		looks[lookRefused].Inc()
	default:
		looks[lookFailed].Inc()
	}
	return err
}

// lookResult is a label of the looks that are counted.
type lookResult string

const (
	lookKnown   lookResult = "known"
	lookAsked   lookResult = "asked"
	lookRefused lookResult = "refused"
	lookFailed  lookResult = "failed"
)

const nameTakenCode = "InvalidArgument"

// askObject asks whether there is an object of that name, or was: a delete marker
// and the versions below it are an object to MinIO.
func (l *look) askObject(name []byte) error {
	a := l.asks
	a.out.set("HEAD", a.bucket.BackendName, name)
	if err := l.send(true); err != nil {
		return err
	}
	defer a.finish()
	switch status := a.resp.Status; {
	case status == 404 && len(a.resp.Header("x-amz-delete-marker")) == 0:
		return nil
	case status == 200, status == 404, status == 405, status == 400: // 400: its customer's key is missing
		return l.taken(fmt.Sprintf("The object %q is there, or versions of it: no listing would have keys that begin with %q. Choose another key, or delete that object with all its versions.", name, string(name)+"/"))
	default:
		return l.unanswered(status)
	}
}

// askBelow asks whether there is anything, delete markers too, below the name.
// "name/" itself is no matter.
func (l *look) askBelow(name []byte) error {
	a := l.asks
	a.out.set("GET", a.bucket.BackendName, nil)
	prefix := append(a.keep(name), '/')
	a.out.param(paramVersions, nil)
	a.out.param(paramPrefix, prefix)
	a.out.param(paramKeyMarker, prefix)
	a.out.param(paramMaxKeys, valueOne)
	a.out.param(paramEncoding, valueURL)
	if err := l.send(false); err != nil {
		return err
	}
	defer a.finish()
	switch a.resp.Status {
	case 200:
	case 404: // the bucket: the upload will say so
		return nil
	default:
		return l.unanswered(a.resp.Status)
	}
	doc, err := a.readResponse(maxErrorDocument)
	if err != nil {
		return err
	}
	first, failed, err := s3xml.FirstKey(doc)
	switch {
	case err != nil:
		return unreadable(err)
	case failed != nil:
		return a.documentError(failed, a.resp.Status)
	case first == "":
		return nil
	case !l.names:
		return l.taken(fmt.Sprintf("Keys that begin with %q are there: no listing would have them beside an object of that name. Choose another key, or delete those objects with all their versions.", string(name)+"/"))
	}
	return l.taken(fmt.Sprintf("The object %q is there: no listing would have it beside an object %q. Choose another key, or delete everything below it with all versions.", first, name))
}

func (l *look) taken(why string) error { return s3err.InvalidArgument(why, "Key", l.key) }

func (l *look) unanswered(status int) error {
	return &s3err.Error{Code: "ServiceUnavailable", Cause: fmt.Errorf("status %d to a look at names", status)}
}

func (l *look) send(noBody bool) error {
	a := l.asks
	a.out.payload = emptySHA256
	a.upstream = upstream.Request{Head: a.out.head, Idempotent: true, NoBody: noBody, Client: l.client}
	if err := a.backend.pool.Do(a.srv.ctx, &a.upstream, &a.resp); err != nil {
		return unreadable(err)
	}
	a.respOpen = true
	return nil
}

var (
	paramVersions  = []byte("versions")
	paramKeyMarker = []byte("key-marker")
	paramMaxKeys   = []byte("max-keys")
	valueOne       = []byte("1")
)
