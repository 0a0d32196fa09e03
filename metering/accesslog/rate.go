package accesslog

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/primecloudpro/primecloud/internal/subscriber"
)

// saved is for how long an unused rate is saved up.
const saved = 8 * time.Second

// allowance is bytes per second, of which some seconds' may be saved up: it is
// the moment at which all that was taken is paid for.
type allowance struct{ paid atomic.Int64 }

func (a *allowance) open(now int64) bool { return a.paid.Load()-now < int64(saved) }

// take is for what has been let in already, one line too many at most for each
// that is written at the same moment.
func (a *allowance) take(now int64, bytes int, rate int64) {
	cost := int64(bytes) * int64(time.Second) / rate
	for {
		paid := a.paid.Load()
		if a.paid.CompareAndSwap(paid, max(paid, now)+cost) {
			return
		}
	}
}

// slots is how many allowances buckets share, and addresses: those that meet in
// one share it, so that no invented name takes memory.
const slots = 1 << 10

// rates hold the lines of requests that nobody proved to what the node, one
// bucket and one address may have written.
type rates struct {
	node, bucket, address int64 // bytes per second

	all       allowance
	seed      maphash.Seed
	buckets   [slots]allowance
	addresses [slots]allowance
}

// share is where a record's line counts.
type share struct{ bucket, address *allowance }

func (r *rates) share(rec *Record) share {
	// A bucket in nobody's name space is nobody's: those are one.
	bucket := maphash.Bytes(r.seed, rec.OwnerID[:])
	if rec.OwnerID != (Record{}).OwnerID {
		bucket = bits.RotateLeft64(bucket, 1) ^ maphash.Bytes(r.seed, rec.Bucket)
	}
	ip := subscriber.Of(rec.Remote).As16()
	return share{&r.buckets[bucket%slots], &r.addresses[maphash.Bytes(r.seed, ip[:])%slots]}
}

// The reasons for which a line is left out, "" for none.
const (
	byBucket  = "bucket"
	byAddress = "address"
	byNode    = "node"
	byBuffer  = "buffer"
)

var leftOutReasons = [...]string{byBucket, byAddress, byNode, byBuffer}

func (r *rates) refuse(s share, now int64) string {
	switch {
	case !s.bucket.open(now):
		return byBucket
	case !s.address.open(now):
		return byAddress
	case !r.all.open(now):
		return byNode
	}
	return ""
}

func (r *rates) take(s share, now int64, bytes int) {
	s.bucket.take(now, bytes, r.bucket)
	s.address.take(now, bytes, r.address)
	r.all.take(now, bytes, r.node)
}
