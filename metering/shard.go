package metering

import (
	"iter"
	"sync"
	"sync/atomic"
)

// shard is a hash table of cells that readers walk without a lock. A writer
// puts a node in front of a chain, or makes another table and exchanges it:
// what a reader can see never changes. The zero shard is empty.
type shard struct {
	table atomic.Pointer[[]atomic.Pointer[node]] // its length is a power of two
	mu    sync.Mutex                             // for writers
	cells int
	// floor is the first hour whose cells have not been retired. None may begin
	// before it: it would begin at zero, and readings are cumulative.
	floor hour
}

type node struct {
	hash uint64
	cell *cell
	next *node
}

const firstTable = 8

func (s *shard) find(hash uint64, k cellKey) *cell {
	table := s.table.Load()
	if table == nil {
		return nil
	}
	for n := (*table)[hash&uint64(len(*table)-1)].Load(); n != nil; n = n.next {
		if n.hash == hash && n.cell.key == k {
			return n.cell
		}
	}
	return nil
}

// add makes a cell unless it is there, or its hour is over and retired.
func (s *shard) add(hash uint64, k cellKey, j *journal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.hour < s.floor || s.find(hash, k) != nil {
		return
	}
	table := s.table.Load()
	if table == nil || s.cells >= len(*table) {
		table = s.rebuild(max(firstTable, 2*s.cells), func(*cell) bool { return true })
	}
	put(*table, hash, j.cell(k))
	s.cells++
}

func put(table []atomic.Pointer[node], hash uint64, c *cell) {
	head := &table[hash&uint64(len(table)-1)]
	head.Store(&node{hash, c, head.Load()})
}

// rebuild exchanges the table for one of the size given, with what keep keeps.
func (s *shard) rebuild(size int, keep func(*cell) bool) *[]atomic.Pointer[node] {
	next := make([]atomic.Pointer[node], size)
	s.cells = 0
	for n := range s.nodes() {
		if keep(n.cell) {
			put(next, n.hash, n.cell)
			s.cells++
		}
	}
	s.table.Store(&next)
	return &next
}

// retire forgets the cells of hours before present that have nothing more to
// say, and returns how many are left.
func (s *shard) retire(present hour, j *journal) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.floor = max(s.floor, present)
	gone := map[*cell]bool{}
	for n := range s.nodes() {
		if n.cell.key.hour < present && n.cell.retire() {
			gone[n.cell] = true
		}
	}
	if len(gone) > 0 {
		size := firstTable
		for size < s.cells-len(gone) {
			size *= 2
		}
		s.rebuild(size, func(c *cell) bool { return !gone[c] })
		for c := range gone {
			j.release(c)
		}
	}
	return s.cells
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
