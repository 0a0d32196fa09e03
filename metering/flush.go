package metering

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

const batch = 5000 // readings in one statement

// Flush writes a reading of every series that has moved since its last one, and
// retires the series of past hours whose reading is confirmed. A flush that
// fails, or whose answer is lost, is repeated with the same or larger totals.
func (m *Meter) Flush(ctx context.Context) error {
	m.flushing.Lock()
	defer m.flushing.Unlock()
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
	old := m.takeOver(ctx)
	if old != nil && !refused(old) {
		return old // nobody answers: what is new would wait as long
	}
	m.journal.makeRoom()
	dirty, readings := m.dirty()
	for from := 0; from < len(dirty); from += batch {
		to := min(from+batch, len(dirty))
		if err := m.write(ctx, m.journal.epoch, readings[from:to]); err != nil {
			return err
		}
		for i := from; i < to; i++ {
			dirty[i].confirmed = readings[i].Totals
		}
		m.metrics.flushed.Add(float64(to - from))
	}
	m.retire()
	if old != nil {
		return old // nothing becomes final before it is written
	}
	if n := m.journal.degraded.Load(); n > 0 {
		// What a kill now would lose is on no disk: nothing is said to be final.
		m.cfg.Logger.Error("the usage journal has no room; usage is kept in memory and no period becomes final", "cells", n, "error", m.journal.reason())
		watermark = time.Time{}
	}
	if err := m.report(ctx, watermark, false); err != nil {
		return err
	}
	if !watermark.IsZero() {
		m.metrics.watermark.Set(float64(watermark.UnixMilli()) / 1000)
	}
	return nil
}

// write is one statement, bounded in time.
func (m *Meter) write(ctx context.Context, epoch rowid.ID, readings []ledger.Reading) error {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.FlushTimeout)
	defer cancel()
	return ledger.Write(ctx, m.cfg.Pool, epoch, readings)
}

// report stores how far this process's epoch has got, and raises the alarm when
// another process counts in it. Two clones are detected: a copied disk restarts
// with a new writer id; a copied VM keeps ours, but PostgreSQL then has a later
// watermark than we ever sent.
func (m *Meter) report(ctx context.Context, watermark time.Time, closed bool) error {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.FlushTimeout)
	defer cancel()
	if watermark.After(m.sent) {
		m.sent = watermark
	}
	p := ledger.Progress{Epoch: m.journal.epoch, Node: m.cfg.Node, Watermark: watermark, Closed: closed, Writer: m.writer}
	reported, err := ledger.ReportProgress(ctx, m.cfg.Pool, p, m.cfg.Clock)
	if err == nil && !reported.ConflictingWriters && reported.Flushed.After(m.sent) {
		p.ConflictingWriters = true
		reported, err = ledger.ReportProgress(ctx, m.cfg.Pool, p, m.cfg.Clock)
	}
	if err != nil {
		return err
	}
	if reported.Over && !closed && !m.retired.Swap(true) {
		m.cfg.Logger.Error("this process's epoch was retired while it runs: it gets no budgets any more; restart it", "epoch", m.journal.epoch)
	}
	m.contested.Store(reported.ConflictingWriters)
	if reported.ConflictingWriters {
		m.metrics.conflictingWriters.Set(1)
		m.cfg.Logger.Error("another process writes the usage of this one: was the machine or its disk copied? No period becomes final; restart both and then retire the epoch",
			"epoch", m.journal.epoch)
	}
	return nil
}

// takeOver writes the readings of earlier processes' journals and removes the
// journals. One that PostgreSQL refuses is kept, and the others are still written.
func (m *Meter) takeOver(ctx context.Context) error {
	var errs []error
	kept := m.orphans[:0]
	for i, o := range m.orphans {
		err := m.ingest(ctx, o)
		if err == nil {
			err = o.end()
		}
		if err != nil {
			kept, errs = append(kept, o), append(errs, fmt.Errorf("%s: %w", filepath.Base(o.path), err))
			if !refused(err) {
				kept = append(kept, m.orphans[i+1:]...)
				break
			}
		}
	}
	clear(m.orphans[len(kept):])
	m.orphans = kept
	return errors.Join(errs...)
}

// refused reports whether PostgreSQL has answered: it will not take this, and may
// take something else.
func refused(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer)
}

func (m *Meter) ingest(ctx context.Context, o *orphan) error {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.FlushTimeout*time.Duration(2+len(o.readings)/batch))
	defer cancel()
	return o.ingest(ctx, m.cfg.Pool, m.cfg.Node)
}

// dirty returns the series whose counters have moved since their last confirmed
// reading, and their new readings, in the same order.
func (m *Meter) dirty() (series []*series, readings []ledger.Reading) {
	for i := range m.shards {
		for n := range m.shards[i].nodes() {
			if t := n.series.read(); t != n.series.confirmed {
				series, readings = append(series, n.series), append(readings, n.series.key.reading(t))
			}
		}
	}
	return series, readings
}

func (m *Meter) retire() {
	present, kept := m.hour(), 0
	for i := range m.shards {
		kept += m.shards[i].retire(present, m.journal)
	}
	m.metrics.series.Set(float64(kept))
}
