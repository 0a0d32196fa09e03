package metering

// Tally counts one request. It is embedded in the caller's own, reused
// structure; the zero Tally counts nothing. Between Begin and End it holds its
// cell, which moves with the hour: bytes are counted in the hour in which they
// moved. Not for use by several goroutines at once.
type Tally struct {
	meter *Meter
	cell  *cell
	key   Key
}

// Begin binds t to the cell of k in the present hour. A Tally that was begun
// must be ended.
func (m *Meter) Begin(t *Tally, k Key) {
	t.End()
	t.meter, t.key = m, k
	t.cell = m.enter(k)
}

// End lets go of the cell.
func (t *Tally) End() {
	if t.cell != nil {
		t.cell.leave()
		t.cell = nil
	}
}

// now returns the cell to add to, after a move to the present hour if it began.
func (t *Tally) now() *cell {
	if t.cell == nil {
		return &discard
	}
	if t.cell.hour != t.meter.hour() {
		t.cell.leave()
		t.cell = t.meter.enter(t.key)
	}
	return t.cell
}

// discard takes what a Tally that was never begun counts.
var discard cell

// Request counts one request.
func (t *Tally) Request() { t.now().requests.Add(1) }

// Ingress counts n body bytes that came from the client.
func (t *Tally) Ingress(n int64) { t.now().ingress.Add(n) }

// Egress counts n body bytes that the client's socket took.
func (t *Tally) Egress(n int64) { t.now().egress.Add(n) }

// DeclaredIngress counts the body length that the client announced.
func (t *Tally) DeclaredIngress(n int64) { t.now().declaredIngress.Add(n) }

// DeclaredEgress counts the body length that the answer announced.
func (t *Tally) DeclaredEgress(n int64) { t.now().declaredEgress.Add(n) }

// Reclass makes what is counted from now on belong to another class: the
// outcome of the request is known.
func (t *Tally) Reclass(c Class) {
	if t.cell == nil || t.key.Class == c {
		return
	}
	t.key.Class = c
	t.cell.leave()
	t.cell = t.meter.enter(t.key)
}
