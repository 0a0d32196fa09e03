package tenancy

import "time"

// hearing is what the directory knows about its own knowledge. It is replaced
// as a whole, by the one goroutine that listens.
type hearing struct {
	// epoch counts connections; 0 is before the first. What was loaded in an
	// earlier epoch may have changed unheard.
	epoch     uint64
	connected bool
	// heard is when the last heartbeat that came back was sent: every change
	// committed before it has been applied.
	heard time.Time
	// before is heard as it was at the end of the previous epoch.
	before time.Time
}

// connectedAt begins an epoch: sent is from before LISTEN was sent.
func (d *Directory) connectedAt(sent time.Time) {
	old := d.hearing.Load()
	d.hearing.Store(&hearing{epoch: old.epoch + 1, connected: true, heard: sent, before: old.heard})
	d.connects.Add(1)
}

func (d *Directory) heardAt(sent time.Time) {
	next := *d.hearing.Load()
	next.heard = sent
	d.hearing.Store(&next)
}

func (d *Directory) disconnected() {
	next := *d.hearing.Load()
	next.connected = false
	d.hearing.Store(&next)
}

// Connected reports whether changes are being heard.
func (d *Directory) Connected() bool { return d.hearing.Load().connected }

// Ready is closed once the directory has begun to listen.
func (d *Directory) Ready() <-chan struct{} { return d.ready }

// holds reports whether an entry that says that something exists may be used
// without asking PostgreSQL: connected, when it is of this epoch; otherwise as
// long as it is not too old.
func (d *Directory) holds(epoch uint64, at time.Time) bool {
	h := d.hearing.Load()
	if h.connected {
		return epoch == h.epoch
	}
	return h.epoch > 0 && time.Since(h.knownUntil(epoch, at)) < d.cfg.MaxStale
}

// denies reports whether an entry that says that something does not exist may
// be used: while creations are heard of, and briefly.
func (d *Directory) denies(epoch uint64, at time.Time) bool {
	h := d.hearing.Load()
	return h.connected && epoch == h.epoch && time.Since(at) < d.cfg.NegativeTTL
}

// tolerates reports whether an entry is young enough to be used although
// PostgreSQL could not be asked.
func (d *Directory) tolerates(epoch uint64, at time.Time) bool {
	return time.Since(d.hearing.Load().knownUntil(epoch, at)) < d.cfg.MaxStale
}

// knownUntil is the last moment at which what was loaded at that time, in that
// epoch, was known to be true.
func (h *hearing) knownUntil(epoch uint64, at time.Time) time.Time {
	switch {
	case epoch == h.epoch && h.heard.After(at):
		return h.heard
	case epoch+1 == h.epoch && h.before.After(at):
		return h.before
	}
	return at
}

// loadTimeout is shorter while PostgreSQL seems away: unknown keys are told so soon.
func (d *Directory) loadTimeout(h *hearing) time.Duration {
	if h.connected {
		return d.cfg.LoadTimeout
	}
	return min(d.cfg.LoadTimeout, d.cfg.Deafness)
}
