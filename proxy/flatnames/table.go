// Package flatnames is what a node remembers of the names in backends that
// cannot hold an object "a" beside an object "a/b", and who is about to make
// which: no I/O.
package flatnames

import (
	"bytes"
	"hash/maphash"
	"sync"
	"time"
)

// Memory is how long what a backend was asked is used: another node may have
// made an object, or what is below it, since.
const Memory = 10 * time.Second

// Kind is what a name is, or is about to become.
type Kind uint8

const (
	unknown Kind = iota
	// Object is a name with nothing below it.
	Object
	// Folder is a name that is no object.
	Folder
)

const (
	shards     = 64
	shardNames = 2048 // that a shard remembers; those that are claimed come on top
)

// id stands for a bucket and a name in it. Its seeds are the table's own, so that
// nobody can look for two names with one id.
type id [2]uint64

// Table is safe for use by many goroutines.
type Table struct {
	seeds  [2]maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu    sync.Mutex
	names map[id]name
}

type name struct {
	claims [3]int32 // of each Kind: requests that make it one
	known  Kind
	until  time.Duration // by the caller's clock: before it
}

func (n *name) claimed() bool { return n.claims[Object]+n.claims[Folder] > 0 }

// New makes an empty table.
func New() *Table {
	t := &Table{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	for i := range t.shards {
		t.shards[i].names = map[id]name{}
	}
	return t
}

// Claims are the names that one request makes: the object of its key, and the
// folders above it. The zero value has none; its memory is used again.
type Claims struct {
	table *Table
	key   []byte
	names []claim
}

type claim struct {
	id    id
	end   int // of the name in the key
	kind  Kind
	until time.Duration // before it the name need not be asked about
}

// Claim makes c the claims of the key in the bucket. While they are held nobody
// else in this process gets claims that contradict them: then ok is false, and c
// has none. A key that ends with a slash is below its folders and no object that
// could hide anything. key is not kept beyond Release.
func (t *Table) Claim(c *Claims, bucket [16]byte, key []byte, now time.Duration) (ok bool) {
	c.table, c.key, c.names = t, key, c.names[:0]
	var hashes [2]maphash.Hash
	for i := range hashes {
		hashes[i].SetSeed(t.seeds[i])
		_, _ = hashes[i].Write(bucket[:])
	}
	upTo := func(from, to int) id {
		for i := range hashes {
			_, _ = hashes[i].Write(key[from:to])
		}
		return id{hashes[0].Sum64(), hashes[1].Sum64()}
	}
	whole := bytes.TrimSuffix(key, []byte{'/'})
	at := 0
	for {
		slash := bytes.IndexByte(whole[at:], '/')
		if slash < 0 {
			break
		}
		// The slash before it is hashed with the next name.
		if !c.add(upTo(max(at-1, 0), at+slash), at+slash, Folder, now) {
			return false
		}
		at += slash + 1
	}
	return len(whole) < len(key) || c.add(upTo(max(at-1, 0), len(key)), len(key), Object, now)
}

func (c *Claims) add(of id, end int, kind Kind, now time.Duration) bool {
	s := c.table.shard(of)
	s.mu.Lock()
	n := s.names[of]
	if n.claims[Object+Folder-kind] > 0 {
		s.mu.Unlock()
		c.Release()
		return false
	}
	n.claims[kind]++
	if n.known != kind || n.until <= now {
		n.known, n.until = unknown, 0
	}
	s.names[of] = n
	s.mu.Unlock()
	c.names = append(c.names, claim{of, end, kind, n.until})
	return true
}

func (t *Table) shard(of id) *shard { return &t.shards[of[0]%shards] }

// Ask calls ask with each name that must be asked about, the longest first, and
// what it is to be: nil says that it is that, and is remembered. The first error
// ends it.
func (c *Claims) Ask(now time.Duration, ask func(name []byte, kind Kind) error) error {
	for i := len(c.names) - 1; i >= 0; i-- {
		n := &c.names[i]
		if now < n.until {
			continue
		}
		if err := ask(c.key[:n.end], n.kind); err != nil {
			return err
		}
		n.until = now + Memory
		c.table.learn(n)
	}
	return nil
}

// Known reports whether Ask has nothing to ask.
func (c *Claims) Known(now time.Duration) bool {
	for i := range c.names {
		if now >= c.names[i].until {
			return false
		}
	}
	return true
}

func (t *Table) learn(c *claim) {
	s := t.shard(c.id)
	s.mu.Lock()
	n := s.names[c.id]
	n.known, n.until = c.kind, c.until
	s.names[c.id] = n
	s.mu.Unlock()
}

// Release ends the claims.
func (c *Claims) Release() {
	for i := range c.names {
		of := &c.names[i]
		s := c.table.shard(of.id)
		s.mu.Lock()
		n := s.names[of.id]
		n.claims[of.kind]--
		switch {
		case n.claimed():
			s.names[of.id] = n
		case n.known == unknown:
			delete(s.names, of.id)
		default:
			s.names[of.id] = n
			s.bound()
		}
		s.mu.Unlock()
	}
	*c = Claims{names: c.names[:0]}
}

// bound drops a name that nobody claims when there are too many: any, since Go's
// maps are walked from a random place.
func (s *shard) bound() {
	if len(s.names) <= shardNames {
		return
	}
	for of, n := range s.names {
		if !n.claimed() {
			delete(s.names, of)
			return
		}
	}
}
