package proxy

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
)

const requestIDLen = 16

// requestIDs gives each request an id that is unique in the fleet for
// practical purposes: a random start for each process, then a counter run
// through a bijection, so that ids do not tell how many requests came between.
type requestIDs struct {
	key     uint64
	counter atomic.Uint64
}

func newRequestIDs() *requestIDs {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	r := &requestIDs{key: binary.LittleEndian.Uint64(b[:8])}
	r.counter.Store(binary.LittleEndian.Uint64(b[8:]))
	return r
}

const upperHex = "0123456789ABCDEF"

func (r *requestIDs) next() (id [requestIDLen]byte) {
	// The finaliser of SplitMix64, which is a bijection on 64 bits.
	v := r.counter.Add(1) ^ r.key
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	v ^= v >> 31
	for i := range id {
		id[i] = upperHex[v>>(60-4*i)&15]
	}
	return id
}
