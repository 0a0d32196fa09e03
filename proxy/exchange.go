package proxy

import (
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/proxy/clientconn"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/upstream"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// exchange is one request and its response, filled by the stages and reused.
// It lives from the first stage until settle; every slice in it aliases its
// own buffers or fasthttp's request and is valid exactly that long.
type exchange struct {
	_ noCopy

	request
	buffers
}

// request is what belongs to one request alone. It is overwritten as a whole,
// so that nothing of one request can show up in another, whatever is added
// here and whichever stages have run.
type request struct {
	srv     *Server
	ctx     *fasthttp.RequestCtx
	conn    *clientconn.Conn
	started time.Time
	id      [requestIDLen]byte
	remote  netip.Addr

	// parse
	req        sigv4.Request
	framing    framing
	host       host
	op         *s3op.Operation
	level      s3op.Level
	bucketName []byte // the client's name of the bucket
	key        []byte // decoded, validated

	// resolve
	identity *tenancy.Identity // nil: anonymous
	account  *tenancy.Account
	signing  *sigv4.SigningKey

	// authorize
	bucket  *tenancy.Bucket // nil at service level and for CreateBucket until it is reserved
	backend *backend
	source  copySource
	allowed bool      // it said yes
	checked time.Time // when that was looked at last
	ended   error     // why the request may not, or cannot, go on: the client is told this

	// admit
	ids      ids
	length   int64 // decoded bytes of the body; -1 unknown
	headDone bool  // headStages have run, or one of them has failed
	failed   error
	boundary string // of a form

	// forward
	body     requestBody
	upstream upstream.Request
	reading  reading
	copyOf   []byte // ETag of the source that a quota was asked for
	sum      []byte // the algorithm of a copy's checksum, when the client has not chosen one
	look     *look  // at the names around the key
	sent     bool   // the backend may have been asked to make something
	respOpen bool   // resp holds a response that must be closed
	blame    bool   // the backend has complained about us
	stream   responseStream

	// settle
	status    int
	code      string // S3 error code of the response, "" for none
	responded bool   // the response was made before rewrite
	charge    chargeState
	grant     limits.Grant
	held      held  // of the server's budgets of bytes
	received  int64 // body bytes read of the client, decoded
	declared  int64 // body bytes the client announced
	cause     error // for the log

	// access log
	record        accesslog.Record
	sentAt        time.Time // the backend has all it needs to answer
	objectSize    int64     // as the backend's response says; -1 unknown
	authenticated bool      // the signature is identity's
	public        bool      // nobody signed it, and the backend has let it in

	errorHeaders [len(errorHeaders)][]byte // of the backend's error
}

// buffers are what keeps memory from one request to the next. Each forgets
// what is in it with Clear, clear or End.
type buffers struct {
	headers  []sigv4.Header // parse: names in lower case; the lines in the order of their arrival, then the hoisted
	names    []byte         // holds them
	hostName []byte         // holds host.name
	target   sigv4.Target
	auth     sigv4.Auth
	out      outgoing
	chunks   sigv4.ChunkReader
	resp     upstream.Response
	arena    []byte
	local    []byte // a response made here
	tally    metering.Tally
}

func (b *buffers) clear() {
	clear(b.headers[:cap(b.headers)]) // they alias fasthttp's request
	b.headers, b.names, b.hostName = b.headers[:0], b.names[:0], b.hostName[:0]
	b.target.Clear()
	b.auth.Clear()
	b.out.clear()
	b.chunks.Clear()
	b.resp.Clear()
	b.arena, b.local = emptied(b.arena, keptArena), emptied(b.local, keptLocal)
	b.tally.End()
}

func emptied(b []byte, most int) []byte {
	if cap(b) > most {
		return nil
	}
	return b[:0]
}

// noCopy makes go vet refuse copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

var exchanges = sync.Pool{New: func() any {
	x := &exchange{}
	x.out.x = x
	x.out.head = x.out.writeHead
	x.clear()
	return x
}}

func (s *Server) newExchange(ctx *fasthttp.RequestCtx, c *clientconn.Conn) *exchange {
	x := exchanges.Get().(*exchange)
	x.srv, x.ctx, x.conn = s, ctx, c
	x.started = s.cfg.now()
	x.id = s.ids.next()
	c.Start(x)
	return x
}

// release forgets everything of the request, so that nothing of one account
// can show up in another's, and returns the exchange to the pool.
func (x *exchange) release() {
	x.endLook()
	x.clear()
	exchanges.Put(x)
}

func (x *exchange) clear() {
	x.grant.End()
	x.held.end()
	if x.srv != nil {
		x.srv.large.put(x.local)
	}
	x.request = request{objectSize: -1}
	x.stream.x, x.body.x = x, x
	x.buffers.clear()
}

// header returns the single value of a request header by its lower-case name,
// whether it came as a line or hoisted into the query; ok is false when it is
// absent. Repeated headers whose repetition matters are refused in parse.
func (x *exchange) header(lower string) (value []byte, ok bool) {
	for i := range x.headers {
		if string(x.headers[i].Name) == lower {
			return x.headers[i].Value, true
		}
	}
	return nil, false
}

// param returns the value of a query parameter that the operation takes. What it
// does not take is not there: it may be in the target and asks for nothing.
func (x *exchange) param(name string) (value []byte, ok bool) {
	if !x.op.Takes([]byte(name)) {
		return nil, false
	}
	return x.target.Get(name)
}

// keep copies b into the exchange's arena, where it stays until settle.
func (x *exchange) keep(b []byte) []byte {
	n := len(x.arena)
	x.arena = append(x.arena, b...)
	return x.arena[n:len(x.arena):len(x.arena)]
}

// keepString is keep for a string.
func (x *exchange) keepString(s string) []byte {
	n := len(x.arena)
	x.arena = append(x.arena, s...)
	return x.arena[n:len(x.arena):len(x.arena)]
}

// keepNumber keeps a number's decimal digits.
func (x *exchange) keepNumber(v int64) []byte {
	n := len(x.arena)
	x.arena = strconv.AppendInt(x.arena, v, 10)
	return x.arena[n:len(x.arena):len(x.arena)]
}

func (x *exchange) anonymous() bool { return x.auth.Mechanism == sigv4.Anonymous }
