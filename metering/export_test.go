package metering

import (
	"context"
	"fmt"
	"time"

	"github.com/primecloudpro/primecloud/metering/usage"
)

// Tick moves the hour on as Run does.
func (m *Meter) Tick() { m.tick() }

// Hour is the hour that is counted in.
func (m *Meter) Hour() time.Time { return m.hour().time() }

// Series is how many series are in memory.
func (m *Meter) Series() (n int) {
	for i := range m.shards {
		for range m.shards[i].nodes() {
			n++
		}
	}
	return n
}

// WriteUnconfirmed writes readings as a flush whose answer is lost: they are
// in the database and the meter does not know. again writes the same ones once
// more, as a network or a doubled process may at any later time.
func (m *Meter) WriteUnconfirmed(ctx context.Context) (again func(context.Context) error, err error) {
	m.flushing.Lock()
	defer m.flushing.Unlock()
	_, readings := m.dirty()
	again = func(ctx context.Context) error { return m.write(ctx, m.journal.epoch, readings) }
	return again, again(ctx)
}

// HeldUp is a tally that found its hour and was then held up on the way to its
// series: arrive is the rest of the way, and reports whether a series was made.
func (m *Meter) HeldUp(k usage.Key) (arrive func() bool) {
	ck := seriesKey{k, m.hour()}
	return func() bool {
		s := &m.shards[0]
		s.add(0, ck, m.journal)
		return s.find(0, ck) != nil
	}
}

// Believed is the egress that a journal is believed to have, by series.
func Believed(path string) (map[string]int64, error) {
	l, err := readJournal(path)
	if err != nil {
		return nil, err
	}
	m := map[string]int64{}
	for _, r := range l.readings {
		m[fmt.Sprint(r.Key, r.Hour)] = r.Egress
	}
	return m, l.damage
}

// Recover reads a journal and returns how many series it has.
func Recover(path string) (int, error) {
	l, err := readJournal(path)
	if err != nil {
		return 0, err
	}
	return len(l.readings), l.damage
}

// EpochOf is the epoch that a journal, however damaged, is accounted under.
func EpochOf(path string) (string, error) {
	l, err := readJournal(path)
	if err != nil {
		return "", err
	}
	return l.epoch.String(), nil
}

// Sync writes the journal to the disk, as Run does every SyncInterval.
func (m *Meter) Sync() error { return m.journal.sync() }

// Path is the journal's file.
func (m *Meter) Path() string { return m.journal.path() }

// Crash lets go of the journal as a killed process does: nothing is written,
// and the folder is free. What is counted afterwards is nobody's.
func (m *Meter) Crash() {
	_ = m.journal.lock.Close()
	if m.journal.file != nil {
		_ = m.journal.file.Close()
	}
}
