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
	err := m.flushAll(ctx)
	if err != nil {
		m.metrics.failures.Inc()
		return fmt.Errorf("flush usage: %w", err)
	}
	return nil
}

func (m *Meter) flushAll(ctx context.Context) error {
	// The moment before anything is read: what is counted later may be missing.
	// The hour is moved on first, so that what is counted later is of a later hour.
	watermark := m.cfg.Now()
	m.tick()
	dirty, readings := m.dirty()
	for from := 0; from < len(dirty); from += batch {
		to := min(from+batch, len(dirty))
		if err := m.write(ctx, dirty[from:to], readings[from:to]); err != nil {
			return err
		}
		for i := from; i < to; i++ {
			dirty[i].confirmed = readings[i]
		}
		m.metrics.flushed.Add(float64(to - from))
	}
	if err := m.report(ctx, watermark); err != nil {
		return err
	}
	m.metrics.watermark.Set(float64(watermark.UnixMilli()) / 1000)
	m.retire()
	return nil
}

// dirty reads the cells that say more than what is confirmed.
func (m *Meter) dirty() (cells []*cell, readings []totals) {
	for i := range m.shards {
		for n := range m.shards[i].nodes() {
			if t := n.cell.read(); t != n.cell.confirmed {
				cells, readings = append(cells, n.cell), append(readings, t)
			}
		}
	}
	return cells, readings
}

func (m *Meter) retire() {
	present, left := m.hour(), 0
	for i := range m.shards {
		left += m.shards[i].retire(present)
	}
	m.metrics.cells.Set(float64(left))
}
