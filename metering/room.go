package metering

// begin makes the journal that found no room when the process started. Cells
// that are in memory stay there until their hour is over.
func (j *journal) begin() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil {
		return
	}
	if j.sick = j.create(); j.sick == nil {
		j.more(-1)
	}
}

// more changes the number of what found no room, and says in the journal
// whether there is any. With j.mu held.
func (j *journal) more(n int64) {
	n = j.degraded.Add(n)
	if len(j.segments) > 0 {
		j.header().short.Store(uint32(min(n, 1)))
	}
}
