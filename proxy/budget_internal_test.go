package proxy

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Whatever is taken and given back, by however many at once: never more than
// there is, never less than nothing, and in the end everything is there again.
func TestBudget(t *testing.T) {
	t.Parallel()
	const most = 1000
	b := newBudget("test", most, 1, prometheus.NewRegistry())
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				var h held
				shares := []*share{&h.stranger, &h.asked, &h.response}
				mine := make([]int64, len(shares))
				for range rand.IntN(8) {
					i := rand.IntN(len(shares))
					n := rand.Int64N(400)
					var err error
					switch rand.IntN(4) {
					case 0:
						n = -rand.Int64N(mine[i] + 1)
						err = shares[i].grow(b, holder{}, n)
					case 1: // what is covered already takes nothing and gives nothing back
						least := n
						n = max(0, least-mine[i])
						err = shares[i].cover(b, holder{}, least)
					case 2:
						n = -mine[i]
						shares[i].end()
					default:
						err = shares[i].grow(b, holder{}, n)
					}
					if err == nil {
						mine[i] += n
					} else if n < 0 {
						t.Error("what is given back is refused")
					}
					if shares[i].held != mine[i] || mine[i] > most {
						t.Errorf("%d are held, %d were taken", shares[i].held, mine[i])
					}
				}
				if used := b.used.Load(); used < 0 {
					t.Errorf("%d are used", used)
				}
				h.end()
				if h != (held{}) {
					t.Error("something is held after the end")
				}
			}
		})
	}
	all.Wait()
	if used := b.used.Load(); used != 0 {
		t.Errorf("%d are used after the end", used)
	}
	// One holder gets his part, and the others what is left, to the byte.
	half := newBudget("test", most, 2, nil)
	var mine, more, others [8]share
	for i := range mine {
		err := errors.Join(mine[i].grow(half, holder{1}, most/16), more[i].grow(half, holder{1}, 0))
		if late := others[i].grow(half, holder{1}, most/2); err != nil || !errors.Is(late, errBusy) {
			t.Error(i, err, late)
		}
	}
	var other share
	if err := other.grow(half, holder{2}, most/2); err != nil || half.used.Load() != 8*(most/16)+most/2 {
		t.Error(err, half.used.Load())
	}
	for i := range mine {
		// It is given back to whom it was taken for.
		if err := mine[i].grow(half, holder{2}, -1); err != nil {
			t.Error(err)
		}
		mine[i].end()
	}
	other.end()
	if len(half.by) > 0 || half.used.Load() != 0 {
		t.Errorf("%v are held after the end", half.by)
	}
	// One alone gets all that there is, and not a byte more.
	var s share
	if err := errors.Join(s.grow(b, holder{}, most-1), s.grow(b, holder{}, 1)); err != nil {
		t.Error(err)
	}
	if err := s.grow(b, holder{}, 1); !errors.Is(err, errBusy) || b.used.Load() != most {
		t.Errorf("%v, %d are used of %d", err, b.used.Load(), most)
	}
}

func bufferServer() *Server {
	return &Server{
		strangers: newBudget("unverified", 1<<20, 1, nil), documents: newBudget("documents", 64<<20, 1, nil), large: make(largeBuffers, largeKept),
	}
}

// A document holds what it has counted, wherever its memory is from, and what a
// server keeps for the next one is bounded.
func TestWholeDoc(t *testing.T) {
	t.Parallel()
	s := bufferServer()
	for _, n := range []int{0, 1, keptLocal - 1, keptLocal, keptLocal + 1, 100_000, largeBuffer, largeBuffer + 1, 5 << 20} {
		for range 2 * largeKept { // with buffers that are there already
			x := &exchange{request: request{srv: s}}
			d := x.newDoc(&x.held.response, x.local)
			if err := d.readAll(iotest.DataErrReader(strings.NewReader(strings.Repeat("x", n))), int64(n)); err != nil || len(d.b) != n {
				t.Fatal(n, len(d.b), err)
			}
			want := int64(0)
			if cap(d.b) > keptLocal {
				want = int64(cap(d.b))
			}
			if x.held.response.held != want || want > int64(max(2*n, largeBuffer)) {
				t.Errorf("a document of %d bytes counts %d, its memory is %d", n, x.held.response.held, cap(d.b))
			}
			x.local = d.b
			x.held.end()
			s.large.put(x.local)
		}
	}
	kept := 0
	for len(s.large) > 0 {
		kept += cap(<-s.large)
	}
	if kept == 0 || kept > largeKept*largeBuffer {
		t.Errorf("%d bytes are kept", kept)
	}
	x := &exchange{request: request{srv: s}}
	d := x.newDoc(&x.held.asked, nil)
	if err := d.readAll(strings.NewReader("12345"), 4); !errors.Is(err, errLongDoc) {
		t.Error(err)
	}
	// Refused before it is made.
	s.documents.each = 100_000
	if err := d.readAll(strings.NewReader(strings.Repeat("x", 1<<20)), 1<<20); !errors.Is(err, errBusy) || cap(d.b) > 100_000 {
		t.Error(err, cap(d.b))
	}
	x.held.end()
	if used := s.documents.used.Load(); used != 0 {
		t.Errorf("%d are used after the end", used)
	}
}

// What is held of a form is a stranger's until it is known whose it is, and nothing
// is held after the end.
func TestForm_held(t *testing.T) {
	t.Parallel()
	x := &exchange{request: request{srv: bufferServer(), account: &tenancy.Account{ID: tenancy.ID{1}}}}
	f := &postForm{x: x}
	if err := f.hold(5000); err != nil {
		t.Fatal(err)
	}
	if s, a := x.held.stranger.held, x.held.asked.held; s != 5000 || a != 0 || x.srv.strangers.used.Load() != 5000 {
		t.Errorf("of a stranger's form %d and %d bytes are held", s, a)
	}
	if err := f.known(); err != nil {
		t.Fatal(err)
	}
	f.policy = &sigv4.Policy{}
	if err := f.hold(700); err != nil {
		t.Fatal(err)
	}
	if s, a := x.held.stranger.held, x.held.asked.held; s != 0 || a != 5700 || x.held.asked.by != x.holder() || x.srv.strangers.used.Load() != 0 {
		t.Errorf("of an account's form %d and %d bytes are held", s, a)
	}
	x.held.end()
	if x.srv.strangers.used.Load() != 0 || x.srv.documents.used.Load() != 0 {
		t.Error("something is held after the end")
	}
}
