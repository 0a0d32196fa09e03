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
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/upstream"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// exchange is one request and its answer, filled by the stages and reused.
// It lives from the first stage until settle; every slice in it aliases its
// own buffers or fasthttp's request and is valid exactly that long.
type exchange struct {
	_ noCopy

	srv     *Server
	ctx     *fasthttp.RequestCtx
	conn    *conn
	started time.Time
	id      [requestIDLen]byte
	remote  netip.Addr

	// parse
	headers  []sigv4.Header // names in lower case, arrival order
	names    []byte         // holds them
	target   sigv4.Target
	req      sigv4.Request
	framing  framing
	host     host
	op       *s3op.Operation
	level    s3op.Level
	bucketNm []byte // the client's name of the bucket
	key      []byte // decoded, validated

	// resolve
	auth     sigv4.Auth
	identity *tenancy.Identity // nil: anonymous
	account  *tenancy.Account
	signing  *sigv4.SigningKey

	// authorize
	bucket  *tenancy.Bucket // nil at service level and for CreateBucket until it is reserved
	backend *backend
	source  copySource

	// admit
	ids    ids
	length int64 // decoded bytes of the body; -1 unknown
	begun  bool  // stages up to admit have run (inside ExpectHandler)
	failed error

	// forward
	body      requestBody
	out       outgoing
	upstream  upstream.Request
	resp      upstream.Response
	responded bool // resp holds an answer that must be closed
	stream    answerStream
	arena     []byte
	local     []byte // an answer made here

	// settle
	tally    metering.Tally
	status   int
	code     string // S3 error code of the answer, "" for none
	answered bool   // the answer was made before rewrite
	metered  bool   // the tally is bound to its cell
	grant    limits.Grant
	limited  bool  // the grant was asked for
	received int64 // body bytes read of the client, decoded
	declared int64 // body bytes the client announced
	cause    error // for the log

	// access log
	line       accesslog.Record
	asked      time.Time // the backend has all it needs to answer
	objectSize int64     // as the backend's answer says; -1 unknown
	proven     bool      // the signature is identity's

	errorHeaders [len(errorHeaders)][]byte // of the backend's error
}

// noCopy makes go vet refuse copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

var exchanges = sync.Pool{New: func() any {
	x := &exchange{}
	x.objectSize = -1
	x.stream.x = x
	x.body.x = x
	x.out.x = x
	x.out.head = x.out.appendHead
	return x
}}

func (s *Server) newExchange(ctx *fasthttp.RequestCtx, c *conn) *exchange {
	x := exchanges.Get().(*exchange)
	x.srv, x.ctx, x.conn = s, ctx, c
	x.started = s.cfg.now()
	x.id = s.ids.next()
	x.remote = netip.Addr{}
	c.answer(x)
	return x
}

// release forgets everything of the request, so that nothing of one account
// can show up in another's, and returns the exchange to the pool.
func (x *exchange) release() {
	x.srv, x.ctx, x.conn = nil, nil, nil
	x.headers = x.headers[:0]
	x.names = x.names[:0]
	x.req = sigv4.Request{}
	x.framing = framing{}
	x.host = host{name: x.host.name[:0]}
	x.op, x.level = nil, 0
	x.bucketNm, x.key = nil, nil
	x.identity, x.account, x.signing = nil, nil, nil
	x.bucket, x.backend = nil, nil
	x.source = copySource{}
	x.ids = ids{}
	x.length, x.begun, x.failed = 0, false, nil
	x.body.reset()
	x.out.reset()
	x.upstream = upstream.Request{}
	x.responded = false
	if cap(x.arena) > 64<<10 {
		x.arena = nil
	}
	x.arena = x.arena[:0]
	if cap(x.local) > 1<<20 {
		x.local = nil
	}
	x.local = x.local[:0]
	x.tally.End()
	x.grant.End()
	x.limited, x.received = false, 0
	x.status, x.code, x.answered, x.metered, x.declared, x.cause = 0, "", false, false, 0, nil
	clear(x.errorHeaders[:])
	x.forgetLine()
	exchanges.Put(x)
}

// header returns the single value of a request header by its lower-case name;
// ok is false when it is absent. Repeated headers whose repetition matters are
// refused in parse.
func (x *exchange) header(lower string) (value []byte, ok bool) {
	for i := range x.headers {
		if string(x.headers[i].Name) == lower {
			return x.headers[i].Value, true
		}
	}
	return nil, false
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
