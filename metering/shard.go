package metering

import (
	"iter"
	"sync"
	"sync/atomic"
)

// shard is a hash table of series that readers walk without a lock. A writer
// puts a node in front of a chain, or makes another table and exchanges it:
// what a reader can see never changes. The zero shard is empty.
type shard struct {
	table atomic.Pointer[[]atomic.Pointer[node]] // its length is a power of two
	mu    sync.Mutex                             // for writers
	count int
	// minHour is the first hour whose series have not been retired. None may begin
	// before it: it would begin at zero, and readings are cumulative.
	minHour hour
}

type node struct {
	hash   uint64
	series *series
	next   *node
}

const firstTable = 8

func (s *shard) find(hash uint64, k seriesKey) *series {
	table := s.table.Load()
	if table == nil {
		return nil
	}
	for n := (*table)[hash&uint64(len(*table)-1)].Load(); n != nil; n = n.next {
		if n.hash == hash && n.series.key == k {
			return n.series
		}
	}
	return nil
}

// add makes a series unless it is there, or its hour is over and retired.
func (s *shard) add(hash uint64, k seriesKey, j *journal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.hour < s.minHour || s.find(hash, k) != nil {
		return
	}
	table := s.table.Load()
	if table == nil || s.count >= len(*table) {
		table = s.rebuild(max(firstTable, 2*s.count), func(*series) bool { return true })
	}
	put(*table, hash, j.series(k))
	s.count++
}

func put(table []atomic.Pointer[node], hash uint64, c *series) {
	head := &table[hash&uint64(len(table)-1)]
	head.Store(&node{hash, c, head.Load()})
}

// rebuild exchanges the table for one of the size given, with what keep keeps.
func (s *shard) rebuild(size int, keep func(*series) bool) *[]atomic.Pointer[node] {
	next := make([]atomic.Pointer[node], size)
	s.count = 0
	for n := range s.nodes() {
		if keep(n.series) {
			put(next, n.hash, n.series)
			s.count++
		}
	}
	s.table.Store(&next)
	return &next
}

// retire forgets the series of hours before present that have nothing more to
// say, and returns how many are left.
func (s *shard) retire(present hour, j *journal) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minHour = max(s.minHour, present)
	gone := map[*series]bool{}
	for n := range s.nodes() {
		if n.series.key.hour < present && n.series.retire() {
			gone[n.series] = true
		}
	}
	if len(gone) > 0 {
		size := firstTable
		for size < s.count-len(gone) {
			size *= 2
		}
		s.rebuild(size, func(c *series) bool { return !gone[c] })
		for c := range gone {
			j.release(c)
		}
	}
	return s.count
}

// nodes walks what there is; what is added meanwhile may be missed.
func (s *shard) nodes() iter.Seq[*node] {
	return func(yield func(*node) bool) {
		table := s.table.Load()
		if table == nil {
			return
		}
		for i := range *table {
			for n := (*table)[i].Load(); n != nil; n = n.next {
				if !yield(n) {
					return
				}
			}
		}
	}
}
