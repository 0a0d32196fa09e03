package metering

// Tally counts one request. It is embedded in the caller's own, reused
// structure; one that was not begun counts nothing. Between Begin and End it
// holds its cell, which moves with the hour: bytes count in the hour in which
// they moved, or, for an hour's first tenth of a second, in the one before. It
// must not be copied meanwhile, nor used by several goroutines at once.
type Tally struct {
	_ noCopy

	meter *Meter
	cell  *cell
	key   Key
}

// noCopy makes go vet refuse copies: two tallies in one cell would leave it twice.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// Begin binds t to the cell of k in the present hour. A Tally that was begun
// must be ended.
func (m *Meter) Begin(t *Tally, k Key) {
	t.End()
	if !k.Class.known() {
		k.Class = ClassUnbilled // PostgreSQL would refuse it, and with it all of a flush
	}
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

// now returns the counters to add to, of the present hour.
func (t *Tally) now() *counters {
	if t.cell.key.hour != t.meter.hour() {
		t.cell.leave()
		t.cell = t.meter.enter(t.key)
	}
	return t.cell.counters
}

// Request counts one request.
func (t *Tally) Request() {
	if t.cell != nil {
		t.now().requests.add(1)
	}
}

// Ingress counts n body bytes that came from the client. Counters only grow:
// here and below, an n that is not positive counts nothing.
func (t *Tally) Ingress(n int64) {
	if n > 0 && t.cell != nil {
		t.now().ingress.add(n)
	}
}

// Egress counts n body bytes that the client's socket took.
func (t *Tally) Egress(n int64) {
	if n > 0 && t.cell != nil {
		t.now().egress.add(n)
	}
}

// DeclaredIngress counts the body length that the client announced.
func (t *Tally) DeclaredIngress(n int64) {
	if n > 0 && t.cell != nil {
		t.now().declaredIngress.add(n)
	}
}

// DeclaredEgress counts the body length that the answer announced.
func (t *Tally) DeclaredEgress(n int64) {
	if n > 0 && t.cell != nil {
		t.now().declaredEgress.add(n)
	}
}

// Reclass makes what is counted from now on belong to another class: the
// outcome of the request is known.
func (t *Tally) Reclass(c Class) {
	if !c.known() {
		c = ClassUnbilled
	}
	if t.cell == nil || t.key.Class == c {
		return
	}
	t.key.Class = c
	t.cell.leave()
	t.cell = t.meter.enter(t.key)
}
