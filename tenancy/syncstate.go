package tenancy

import "time"

// syncState records how far the directory is known to be in sync with
// PostgreSQL. It is replaced as a whole, by the listening goroutine alone;
// readers load it once.
type syncState struct {
	// epoch counts connections; 0 is before the first. The notification about a
	// change of what was loaded in an earlier epoch may have been missed.
	epoch     uint64
	connected bool
	// lastHeartbeat is when the last heartbeat that came back was sent: every
	// change committed before it has been applied.
	lastHeartbeat time.Time
	// prevHeartbeat is lastHeartbeat at the end of the previous epoch.
	prevHeartbeat time.Time
}

// connectedAt begins an epoch; sent is a moment before LISTEN was sent.
func (d *Directory) connectedAt(sent time.Time) {
	old := d.sync.Load()
	d.sync.Store(&syncState{epoch: old.epoch + 1, connected: true, lastHeartbeat: sent, prevHeartbeat: old.lastHeartbeat})
	d.connects.Add(1)
}

// heartbeatAt records that the heartbeat that was sent then has come back.
func (d *Directory) heartbeatAt(sent time.Time) {
	next := *d.sync.Load()
	next.lastHeartbeat = sent
	d.sync.Store(&next)
}

func (d *Directory) disconnected() {
	next := *d.sync.Load()
	next.connected = false
	d.sync.Store(&next)
}

// Connected reports whether the directory receives changes.
func (d *Directory) Connected() bool { return d.sync.Load().connected }

// Outage returns since when no change has been heard, and until when what is in memory
// works without; zero times while changes are heard.
func (d *Directory) Outage() (since, until time.Time) {
	h := d.sync.Load()
	if h.connected || h.epoch == 0 {
		return time.Time{}, time.Time{}
	}
	return h.lastHeartbeat, h.lastHeartbeat.Add(d.cfg.MaxStale)
}

// Ready is closed once the directory has begun to listen.
func (d *Directory) Ready() <-chan struct{} { return d.ready }

// fresh reports whether an entry for something that exists, loaded at that time
// in that epoch, may be used without asking PostgreSQL: while connected if it is
// of this epoch, otherwise until MaxStale after it was last validated.
func (d *Directory) fresh(epoch uint64, at time.Time) bool {
	h := d.sync.Load()
	if h.connected {
		return epoch == h.epoch
	}
	return h.epoch > 0 && time.Since(h.validatedAt(epoch, at)) < d.cfg.MaxStale
}

// freshAbsence is fresh for an entry for something that does not exist: only
// while creations are notified, and no longer than NegativeTTL.
func (d *Directory) freshAbsence(epoch uint64, at time.Time) bool {
	h := d.sync.Load()
	return h.connected && epoch == h.epoch && time.Since(at) < d.cfg.NegativeTTL
}

// withinMaxStale reports whether an entry loaded at that time in that epoch may
// be used after PostgreSQL could not be asked.
func (d *Directory) withinMaxStale(epoch uint64, at time.Time) bool {
	return time.Since(d.sync.Load().validatedAt(epoch, at)) < d.cfg.MaxStale
}

// validatedAt is the last moment at which what was loaded at that time, in that
// epoch, was known to be true.
func (h *syncState) validatedAt(epoch uint64, at time.Time) time.Time {
	switch {
	case epoch == h.epoch && h.lastHeartbeat.After(at):
		return h.lastHeartbeat
	case epoch+1 == h.epoch && h.prevHeartbeat.After(at):
		return h.prevHeartbeat
	}
	return at
}

// loadTimeout bounds one load. It is shorter while disconnected, so that requests
// with unknown keys soon get their ErrUnavailable.
func (d *Directory) loadTimeout(h *syncState) time.Duration {
	if h.connected {
		return d.cfg.LoadTimeout
	}
	return min(d.cfg.LoadTimeout, d.cfg.HeartbeatTimeout)
}
