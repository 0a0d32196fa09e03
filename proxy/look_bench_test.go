package proxy_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/primecloudpro/primecloud/bench/procstat"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// BenchmarkNames is a PUT of 1 KiB in front of a MinIO of its own, one after the
// other, with and without the look at the names around the key, and the CPU that
// MinIO takes for it. Run it with -benchtime=400x.
func BenchmarkNames(b *testing.B) {
	for _, key := range []struct {
		kind string
		of   func(i int) string
	}{
		{"known-folder", func(i int) string { return fmt.Sprintf("one/%d", i) }},
		{"new-folder", func(i int) string { return fmt.Sprintf("many/%d/x", i) }},
		{"again", func(int) string { return "again" }},
	} {
		for _, off := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/look=%t", key.kind, !off), func(b *testing.B) {
				m := testenv.OwnMinIO(b, b.TempDir())
				g := newGateway(b, options{quiet: true, minio: m, names: off})
				e := g.tenant().raw()
				put := func(path string, body []byte) {
					if r := e.do(b, &request{method: "PUT", path: path, body: body}); r.status != http.StatusOK {
						b.Fatalf("%d %s", r.status, r.body)
					}
				}
				object := make([]byte, 1<<10)
				put("/names", nil)
				put("/names/one/first", object)
				put("/names/again", object)
				backend := procstat.Of(m.Pid())
				before, err := backend.CPU()
				if err != nil {
					b.Fatal(err)
				}
				for i := 0; b.Loop(); i++ {
					put("/names/"+key.of(i), object)
				}
				after, err := backend.CPU()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64((after-before).Microseconds())/float64(b.N), "backend-µs/op")
			})
		}
	}
}
