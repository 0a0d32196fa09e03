package metering

// makeRoom tries again to get the room that was not there: for the journal itself when
// the process started, or for more of it. Series that are in memory stay there until
// their hour is over.
func (j *journal) makeRoom() {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.file == nil:
		if j.allocErr = j.create(); j.allocErr == nil {
			j.addDegraded(-1)
		}
	case j.full && len(j.free) == 0:
		if err := j.extend(); err != nil {
			j.allocErr = err
		}
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
