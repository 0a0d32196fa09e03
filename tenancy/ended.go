package tenancy

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// endedKeys is what a node remembers of the keys that ended. The owner of the
// tables can make the database forget it, and put a key's row back; while a node
// runs that knew, he gets nothing by that, and is seen.
type endedKeys struct {
	mu    sync.Mutex
	looks uint64        // that were made
	known map[ID]uint64 // the look that found it
	order []ID          // oldest first
	since time.Time
	news  chan struct{} // some key changed
}

// mostEnded is how many a node remembers: the newest.
const mostEnded = 100_000

// endedOverlap is for transactions that were not committed when others, begun
// later, were.
const endedOverlap = 5 * time.Minute

func newEndedKeys() *endedKeys {
	return &endedKeys{known: map[ID]uint64{}, news: make(chan struct{}, 1)}
}

// now is the last look that was made.
func (e *endedKeys) now() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.looks
}

// before reports whether the key had ended at that look. What is read from the
// database afterwards is no row of before its end, read late.
func (e *endedKeys) before(look uint64, id ID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	found, ok := e.known[id]
	return ok && found <= look
}

// changed asks for a look soon.
func (e *endedKeys) changed() {
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// follow reads what has ended since the last time.
func (e *endedKeys) follow(ctx context.Context, q pg.Querier) error {
	rows, err := q.Query(ctx, `SELECT id, least(ended_at, now()) FROM (SELECT id, ended_at FROM ended_keys WHERE ended_at >= $1 ORDER BY ended_at DESC LIMIT $2) newest
		ORDER BY ended_at`, e.since.Add(-endedOverlap), mostEnded)
	if err != nil {
		return err
	}
	var id ID
	var at time.Time
	e.mu.Lock()
	defer e.mu.Unlock()
	e.looks++
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		if _, ok := e.known[id]; !ok {
			e.known[id], e.order = e.looks, append(e.order, id)
		}
		e.since = at
		return nil
	})
	if surplus := len(e.order) - mostEnded; surplus > 0 {
		for _, old := range e.order[:surplus] {
			delete(e.known, old)
		}
		e.order = e.order[surplus:]
	}
	return err
}
