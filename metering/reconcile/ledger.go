package reconcile

import (
	"context"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/tenancy"
)

// lag is how much later than the moment it is of something may be seen: a line
// waits up to accesslog.Config.FlushInterval (250 ms) for its way to the disk,
// a sum of unproven requests 5 s longer, and nodes, backends and this machine have
// clocks of their own.
const lag = 15 * time.Second

// window is what the ledger has of the hours that are compared, and how far the
// nodes were when it and the log were read. Nodes start, flush and stop while a
// day of logs is read.
type window struct {
	cells map[cellID]Figures
	sum   Figures
	final *time.Time // before anything was read; nil: no node has ever reported

	began time.Time // the run
	nodes map[tenancy.ID]ledger.Node
	// What was counted before written is in cells, and what ended before logged
	// is in the log. Nil: all of it, nobody counted any more.
	written, logged *time.Time
}

// begin notes how far the nodes are before the log is read.
func begin(ctx context.Context, cfg *Config) (*window, error) {
	l := &window{began: cfg.Now().UTC(), cells: map[cellID]Figures{}, nodes: map[tenancy.ID]ledger.Node{}}
	return l, pg.InSnapshot(ctx, cfg.Pool, func(q pg.Querier) error {
		final, ok, err := ledger.Final(ctx, q)
		if err != nil {
			return err
		}
		if ok {
			l.final = &final
		}
		nodes, err := ledger.Nodes(ctx, q, true)
		for _, n := range nodes {
			l.nodes[n.Epoch] = n
		}
		return err
	})
}

// read fills the cells, and says how far the nodes are that wrote them: both of
// one moment.
func (l *window) read(ctx context.Context, cfg *Config) error {
	return pg.InSnapshot(ctx, cfg.Pool, func(q pg.Querier) error {
		nodes, err := ledger.Nodes(ctx, q, true)
		if err != nil {
			return err
		}
		l.progress(nodes)
		for c, err := range ledger.Rows(ctx, q, ledger.Query{Account: cfg.Account, From: cfg.From, To: cfg.To}) {
			if err != nil {
				return err
			}
			l.cells[cellID{c.Account, c.Bucket, c.AccessKey, c.Class, c.Hour}] = figures(&c.Delta)
			l.sum = l.sum.plus(figures(&c.Delta))
		}
		return nil
	})
}

// progress sets written and logged to the least that a node has done by the
// time that the one and the other were read.
func (l *window) progress(nodes []ledger.Node) {
	for _, n := range nodes {
		over := n.ClosedAt.Year() > 1
		if !over {
			l.written = earliest(l.written, n.FlushedAt)
		}
		before, known := l.nodes[n.Epoch]
		switch {
		case known && over && before.ClosedAt.Year() > 1: // it was over when the log was read
		case known:
			l.logged = earliest(l.logged, before.FlushedAt)
		default: // it started since
			l.logged = earliest(earliest(l.logged, l.began), n.FlushedAt)
		}
	}
}

func earliest(a *time.Time, b time.Time) *time.Time {
	if a != nil && a.Before(b) {
		return a
	}
	return &b
}

// missing reports whether what ended at a moment may not be written yet.
func (l *window) missing(at time.Time) bool {
	return l.written != nil && !at.Before(l.written.Add(-lag))
}

// openness is what of an hour may still change.
type openness int

const (
	closed    openness = iota
	straddled          // lines of transfers that outlive it may be to come
	open               // anything
)

// state says how open an hour is: a node's lines of it are on the disk soon
// after its flushes have passed it, and a transfer's line when it ends. One that
// goes on for longer than an hour behind its hour looks unexplained until then.
func (l *window) state(hour time.Time) openness {
	switch {
	case l.logged == nil, !l.logged.Before(hour.Add(2 * time.Hour)):
		return closed
	case l.logged.Before(hour.Add(time.Hour + lag)):
		return open
	}
	return straddled
}

// sure is the moment before which what a backend stored has its reading, and its
// line in what was read: the end of the last hour that is not open, less what
// clocks may differ; while nobody counts, the beginning of the run, in which a
// node may have started.
func (l *window) sure() time.Time {
	if l.logged == nil {
		return l.began
	}
	return l.logged.Add(-lag).Truncate(time.Hour).Add(-lag)
}

// sureOf is sure within a window that ends with an hour.
func (l *window) sureOf(to time.Time) time.Time {
	if l.logged != nil && l.state(to.Add(-time.Hour)) != open {
		return to
	}
	if sure := l.sure(); sure.Before(to) {
		return sure
	}
	return to
}
