package storage_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// delivered puts an object as the access log's delivery does, and returns its key.
func (s *stock) delivered(b *tenancy.Bucket, stem string, size int) string {
	s.t.Helper()
	key := storage.MAC(s.store.Keyring.MAC).StampDelivered(b.BackendName, stem, int64(size))
	s.put(b, key, size)
	return key
}

// stored is what counts against the account's quota.
func (s *stock) stored() int64 {
	s.t.Helper()
	n, _, err := storage.StoredBytes(s.t.Context(), s.owner, s.account.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// What the delivery made counts against no quota as long as it is what was
// delivered, and nothing that the account can make passes for it. The samples,
// which are billed, have all of it.
func TestStoredBytes_delivered(t *testing.T) {
	t.Parallel()
	s := newStock(t, testenv.MinIO(t))
	b, other := s.versioned("logs"), s.bucket("other")
	const stem = "log/2026-11-30-10-00-00-0A1B2C3D"
	sample := func(want, all int64) {
		t.Helper()
		s.now = s.now.Add(time.Second)
		for _, b := range []*tenancy.Bucket{b, other} {
			if _, err := s.Sample(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.stored(); got != want {
			t.Errorf("%d bytes count, want %d", got, want)
		}
		if got := s.last(b).Bytes() + s.last(other).Bytes(); got != all {
			t.Errorf("the samples have %d bytes, want %d", got, all)
		}
	}
	key := s.delivered(b, stem, 1000)
	s.delivered(b, strings.Replace(stem, "3D", "3E", 1), 500)
	s.put(b, "log/own", 70)
	sample(70, 1570)
	s.put(b, "log/2026-11-30-10-00-00-0A1B2C3DFFFFFFFF", 10_000) // a name that looks like one
	s.put(other, key, 1000)                                      // the same name elsewhere
	sample(11_070, 12_570)
	s.put(b, key, 1000) // a second version of it, though of its size
	sample(12_070, 13_570)
	s.put(b, key, 1_000_000) // and a larger one
	sample(1_012_070, 1_013_570)
	s.put(other, strings.Repeat("0", 16), 1)
	sample(1_012_071, 1_013_571)
}

// A listing that is taken up again knows what it has passed.
func TestStoredBytes_takenUp(t *testing.T) {
	t.Parallel()
	s := newStock(t, testenv.MinIO(t))
	b := s.bucket("logs")
	s.putMany(b, 2300, 2)
	const stem = "2026-11-30-10-00-00-0A1B2C3D"
	s.delivered(b, "000/"+stem, 300) // on the first page
	s.delivered(b, "a/"+stem, 1000)  // on the last
	slow := s.sampler(func(c *storage.Config) { c.SaveInterval, c.Rate = 1, 1 })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := slow.Sample(ctx, b)
		ended <- err
	}()
	testenv.WaitFor(t, "the first keys", func() bool { return s.count(`SELECT count(*) FROM storage_listings WHERE objects > 100`) == 1 })
	stop()
	<-ended
	if n := s.count(`SELECT delivered_bytes FROM storage_listings`); n != 300 {
		t.Fatalf("%d bytes are kept, want 300", n)
	}
	if _, err := s.Sample(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := s.stored(); got != 4600 {
		t.Errorf("%d bytes count, want 4600", got)
	}
}
