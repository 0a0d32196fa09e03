package metering

import (
	"context"
	"fmt"
)

const batch = 5000 // readings in one statement

// Flush writes a reading of every cell that has moved since its last one, and
// retires the cells of past hours whose reading is confirmed. A flush that
// fails, or whose answer is lost, is repeated with the same or larger totals.
func (m *Meter) Flush(ctx context.Context) error {
	m.flush.Lock()
	defer m.flush.Unlock()
	var dirty []*cell
	var readings []totals
	for i := range m.shards {
		for _, c := range *m.shards[i].cells.Load() {
			if t := c.read(); t != c.confirmed {
				dirty, readings = append(dirty, c), append(readings, t)
			}
		}
	}
	for from := 0; from < len(dirty); from += batch {
		to := min(from+batch, len(dirty))
		if err := m.write(ctx, dirty[from:to], readings[from:to]); err != nil {
			m.failures.Inc()
			return fmt.Errorf("flush usage: %w", err)
		}
		for i := from; i < to; i++ {
			dirty[i].confirmed = readings[i]
		}
		m.flushed.Add(float64(to - from))
	}
	if err := m.report(ctx); err != nil {
		m.failures.Inc()
		return err
	}
	m.retire()
	return nil
}

// retire drops cells that are confirmed and that nobody is in, an hour after
// theirs ended: by then nobody can still be on the way into one.
func (m *Meter) retire() {
	present := m.hour()
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		old := *s.cells.Load()
		var gone []cellKey
		for k, c := range old {
			// Leaving comes after the last add: a cell without users that reads
			// as confirmed has nothing more to say.
			if k.hour+1 < present && c.retire() {
				if c.read() != c.confirmed {
					c.users.Add(closedCell)
					continue
				}
				gone = append(gone, k)
			}
		}
		if len(gone) > 0 {
			s.replace(old, func(cells map[cellKey]*cell) {
				for _, k := range gone {
					delete(cells, k)
				}
			})
		}
		s.mu.Unlock()
	}
}
