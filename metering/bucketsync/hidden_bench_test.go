package bucketsync

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// countedTransport counts what answers have in their bodies.
type countedTransport struct {
	http.RoundTripper
	bytes atomic.Int64
}

func (c *countedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = &countedBody{resp.Body, &c.bytes}
	}
	return resp, err
}

type countedBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}

// BenchmarkHiddenSearch is what `bucket sync --hidden` costs for a bucket, and how
// many MB MinIO sends for it. Run it with -benchtime=3x.
func BenchmarkHiddenSearch(b *testing.B) {
	for _, c := range []struct{ objects, size int }{{10_000, 1 << 10}, {2_000, 100 << 10}, {1_000, 1 << 20}} {
		b.Run(fmt.Sprintf("objects=%d/KiB=%d", c.objects, c.size>>10), func(b *testing.B) {
			m := testenv.OwnMinIO(b, b.TempDir())
			at := &tenancy.Backend{Kind: tenancy.BackendMinIO, Endpoints: []string{m.Endpoint}, Region: "us-east-1", AccessKeyID: m.AccessKey, SecretKey: m.SecretKey}
			mc, err := at.Client()
			if err != nil {
				b.Fatal(err)
			}
			bucket := "cost-" + strings.ToLower(rand.Text())
			if err := mc.MakeBucket(b.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
				b.Fatal(err)
			}
			body := make([]byte, c.size) // random: MinIO's answer is compressed
			for i := range c.objects {
				_, _ = rand.Read(body)
				if _, err := mc.PutObject(b.Context(), bucket, fmt.Sprintf("%d/%d", i/100, i), bytes.NewReader(body), int64(c.size), minio.PutObjectOptions{}); err != nil {
					b.Fatal(err)
				}
			}
			s := newHiddenSearch(b.Context(), at, mc)
			counted := &countedTransport{RoundTripper: s.raw.HTTP.Transport}
			s.raw.HTTP.Transport = counted
			b.ResetTimer()
			for range b.N {
				if found, err := s.bucket(b.Context(), bucket); err != nil || found.Keys != 0 {
					b.Fatal(found, err)
				}
			}
			b.ReportMetric(float64(counted.bytes.Load())/1e6/float64(b.N), "MB/op")
		})
	}
}
