package upstream_test

import (
	"errors"
	"io"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/upstream"
)

// A request on a kept connection, against a backend that does nothing: what
// the look before each use costs (docs/decisions/0018).
func BenchmarkPool_Do(b *testing.B) {
	for _, c := range []struct {
		name  string
		serve func(testing.TB, script) *server
	}{{"plain", serve}, {"TLS", serveTLS}} {
		b.Run(c.name, func(b *testing.B) {
			p := pool(b, c.serve(b, replayed).config())
			req := get()
			roundTrip(b, p, req)
			b.ReportAllocs()
			for b.Loop() {
				roundTrip(b, p, req)
			}
		})
	}
}

// replayed answers whatever comes with ok, without a look at it.
func replayed(p *peer, _ int) {
	answer, buf := []byte(ok), make([]byte, 4<<10)
	for {
		if _, err := p.raw.Read(buf); err != nil {
			return
		}
		if _, err := p.Write(answer); err != nil {
			return
		}
	}
}

var (
	answered upstream.Response
	sink     [64]byte
)

// roundTrip sends a request and reads its answer, allocating nothing.
func roundTrip(t testing.TB, p *upstream.Pool, req *upstream.Request) {
	if err := p.Do(t.Context(), req, &answered); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := answered.Read(sink[:]); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	answered.Close()
}
