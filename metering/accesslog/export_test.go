package accesslog

// Discard takes what was added, as a flush does, and forgets it: what a
// request costs is measured, and not this machine's disk.
func (l *Log) Discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.take()
	l.pending = l.pending[:0]
}
