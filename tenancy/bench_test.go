package tenancy_test

import (
	"fmt"
	"testing"

	"github.com/primecloudpro/primecloud/tenancy"
)

// What a cached look-up costs the data path; no two goroutines wait for each other.
func BenchmarkDirectory(b *testing.B) {
	f := newFixture(b)
	d := f.directory()
	ctx := b.Context()
	keys := make([][]byte, 64)
	for i := range keys {
		keys[i] = []byte(f.key(f.a).KeyID)
	}
	bucket, name := []byte(f.bucket(f.a, "photos").Name), []byte(f.a.Name)
	invented := []byte("PC" + "ABCDEFGHIJKLMNOPQR")
	for _, c := range []struct {
		name string
		look func(i int)
	}{
		{"Identity", func(i int) { _, _ = d.Identity(ctx, keys[i%len(keys)]) }},
		{"Account", func(int) { _, _ = d.Account(ctx, f.a.ID) }},
		{"AccountByName", func(int) { _, _ = d.AccountByName(ctx, name) }},
		{"Bucket", func(int) { _, _ = d.Bucket(ctx, f.a.ID, bucket) }},
		{"Backend", func(int) { _, _ = d.Backend(ctx, f.backend.ID) }},
		{"Identity/invented", func(int) { _, _ = d.Identity(ctx, invented) }},
	} {
		for range 3 {
			for i := range keys {
				c.look(i)
			}
			d.Settle()
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			before := d.Misses()
			b.RunParallel(func(p *testing.PB) {
				for i := 0; p.Next(); i++ {
					c.look(i)
				}
			})
			b.ReportMetric(float64(d.Misses()-before)/float64(b.N), "misses/op")
		})
	}
}

// A miss: one round trip to PostgreSQL and the opening of the secret.
func BenchmarkDirectory_miss(b *testing.B) {
	f := newFixture(b)
	d := f.directory()
	k := f.key(f.a)
	b.ReportAllocs()
	for b.Loop() {
		d.Forget(k.KeyID)
		known(b, d, k.KeyID)
	}
}

func BenchmarkCreateKey(b *testing.B) {
	f := newFixture(b)
	n := 0
	for b.Loop() {
		n++
		_ = must(f.store.CreateKey(b.Context(), f.owner, tenancy.Key{AccountID: f.a.ID, Description: fmt.Sprint(n)}))(b)
	}
}
