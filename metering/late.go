package metering

// createLate makes the journal that found no room when the process started. Series
// that are in memory stay there until their hour is over.
func (j *journal) createLate() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil {
		return
	}
	if j.allocErr = j.create(); j.allocErr == nil {
		j.addDegraded(-1)
	}
}

// addDegraded adds n to the number of series without room in the journal, and marks
// the journal's header incomplete while there are any. With j.mu held.
func (j *journal) addDegraded(n int64) {
	n = j.degraded.Add(n)
	if len(j.segments) > 0 {
		j.header().incomplete.Store(uint32(min(n, 1)))
	}
}
