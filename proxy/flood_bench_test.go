package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// What a signed HeadBucket takes, which the gateway answers from its memory,
// and with a key that it has never seen, quiet and while eight connections ask
// for invented names one after the other. Run it with -benchtime=2000x: each
// uncached request has a key of its own, made before.
func BenchmarkFlood(b *testing.B) {
	g := newGateway(b, options{quiet: true})
	tn := g.tenant()
	if r := tn.raw().do(b, &request{method: "PUT", path: "/flooded"}); r.status != http.StatusOK {
		b.Fatal(r.status)
	}
	account := tn.account.Name + ".tenants.example.test"
	for _, f := range []struct {
		name   string
		invent func(v *inventor, n int64) []byte
	}{
		{"quiet", nil},
		{"hosts", func(v *inventor, n int64) []byte {
			return v.unsigned(fmt.Sprint("www.", n, ".invented.test"), "/bucket/k")
		}},
		{"accounts", func(v *inventor, n int64) []byte {
			return v.unsigned(fmt.Sprint("invented-", n, ".tenants.example.test"), "/bucket/k")
		}},
		{"keys", func(v *inventor, n int64) []byte {
			return v.signed("s3.example.test", "/bucket/k", fmt.Sprint("INVENTED", n), false)
		}},
		{"buckets", func(v *inventor, n int64) []byte { return v.unsigned(account, fmt.Sprint("/invented-", n, "/k")) }},
		{"own-buckets", func(v *inventor, n int64) []byte {
			return v.signed("s3.example.test", fmt.Sprint("/invented-", n, "/k"), v.tn.key.KeyID, true)
		}},
	} {
		for _, cached := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/cached=%t", f.name, cached), func(b *testing.B) {
				keys := make([]*tenancy.Key, b.N)
				keys[0] = tn.key
				for i := 1; i < b.N && !cached; i++ {
					keys[i] = tn.newKey(tenancy.Key{})
				}
				stop := g.flood(b, tn, f.invent)
				v, conn := newInventor(tn), dialed(b, g.addr)
				r := bufio.NewReader(conn)
				took := make([]time.Duration, 0, b.N)
				b.ResetTimer()
				for i := range b.N {
					key := tn.key
					if !cached {
						key = keys[i]
					}
					v.signing = sigv4.NewSigningKey(key.Secret, v.now.Format("20060102"), "us-east-1")
					wire := v.signed("s3.example.test", "/flooded", key.KeyID, true)
					began := time.Now()
					if status := roundTrip(b, conn, r, wire); status != http.StatusOK {
						b.Fatal(status)
					}
					took = append(took, time.Since(began))
				}
				b.StopTimer()
				asked := stop()
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
				b.ReportMetric(float64(asked)/b.Elapsed().Seconds(), "invented/s")
			})
		}
	}
}

func newInventor(tn *tenant) *inventor {
	now := time.Now().UTC()
	return &inventor{tn: tn, now: now, signing: sigv4.NewSigningKey(tn.key.Secret, now.Format("20060102"), "us-east-1")}
}

func dialed(b *testing.B, addr string) net.Conn {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return conn
}

// roundTrip sends a request and reads the answer: the status of a broken
// connection is 0.
func roundTrip(b *testing.B, conn net.Conn, r *bufio.Reader, wire []byte) int {
	b.Helper()
	if _, err := conn.Write(wire); err != nil {
		return 0
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode
}

var inventions atomic.Int64 // no name comes twice

// flood asks for invented names until it is stopped, and counts them.
func (g *gateway) flood(b *testing.B, tn *tenant, invent func(*inventor, int64) []byte) (stop func() int64) {
	var over atomic.Bool
	var asked atomic.Int64
	var asking sync.WaitGroup
	for range 8 {
		if invent == nil {
			break
		}
		conn := dialed(b, g.addr)
		asking.Go(func() {
			v, r := newInventor(tn), bufio.NewReader(conn)
			for !over.Load() {
				if roundTrip(b, conn, r, invent(v, inventions.Add(1))) == 0 {
					b.Error("a flooding connection was closed")
					return
				}
				asked.Add(1)
			}
		})
	}
	return func() int64 {
		over.Store(true)
		asking.Wait()
		return asked.Load()
	}
}
