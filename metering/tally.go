package metering

import "github.com/primecloudpro/primecloud/metering/usage"

// Tally counts one request. It is embedded in the caller's own, reused
// structure; one that was not begun counts nothing. Between Begin and End it
// holds its series, which moves with the hour: bytes count in the hour in which
// they moved, or, for an hour's first tenth of a second, in the one before. It
// must not be copied meanwhile, nor used by several goroutines at once.
type Tally struct {
	_ noCopy

	meter  *Meter
	series *series
	key    usage.Key
	parts  []usage.Delta // what was counted since Begin, the present series's last; its memory is reused
}

// noCopy makes go vet refuse copies: two tallies in one series would leave it twice.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// Begin binds t to the series of k in the present hour. A Tally that was begun
// must be ended.
func (m *Meter) Begin(t *Tally, k usage.Key) {
	t.End()
	if !k.Class.Known() {
		k.Class = usage.ClassUnbilled // PostgreSQL would refuse it, and with it all of a flush
	}
	t.meter, t.key = m, k
	t.enter()
}

// enter takes the series of the key in the present hour, and opens its part.
func (t *Tally) enter() {
	t.series = t.meter.enter(t.key)
	part := usage.Delta{Class: t.key.Class, Hour: t.series.key.hour.time()}
	if n := len(t.parts); n > 0 && t.parts[n-1].IsZero() {
		t.parts[n-1] = part
		return
	}
	t.parts = append(t.parts, part)
}

// Key is the series's that t was begun with, in its present class.
func (t *Tally) Key() usage.Key { return t.key }

// Counted is what the ledger has from t since Begin, series by series in the order
// of time; the last one may be empty. It is valid until End.
func (t *Tally) Counted() []usage.Delta { return t.parts }

// End lets go of the series and forgets what was counted.
func (t *Tally) End() {
	if t.series != nil {
		t.series.leave()
	}
	*t = Tally{parts: t.parts[:0]}
}

// now returns the counters to add to, of the present hour, and the part that
// remembers what was added.
func (t *Tally) now() (*counters, *usage.Delta) {
	if t.series.key.hour != t.meter.hour() {
		t.series.leave()
		t.enter()
	}
	return t.series.counters, &t.parts[len(t.parts)-1]
}

// Request counts one request.
func (t *Tally) Request() {
	if t.series != nil {
		c, part := t.now()
		c.requests.add(1)
		part.Requests += 1
	}
}

// Ingress counts n body bytes that came from the client. Counters only grow:
// here and below, an n that is not positive counts nothing.
func (t *Tally) Ingress(n int64) {
	if n > 0 && t.series != nil {
		c, part := t.now()
		c.ingress.add(n)
		part.Ingress += n
	}
}

// Egress counts n body bytes that the client's socket took.
func (t *Tally) Egress(n int64) {
	if n > 0 && t.series != nil {
		c, part := t.now()
		c.egress.add(n)
		part.Egress += n
	}
}

// DeclaredIngress counts the body length that the client announced.
func (t *Tally) DeclaredIngress(n int64) {
	if n > 0 && t.series != nil {
		c, part := t.now()
		c.declaredIngress.add(n)
		part.DeclaredIngress += n
	}
}

// DeclaredEgress counts the body length that the answer announced.
func (t *Tally) DeclaredEgress(n int64) {
	if n > 0 && t.series != nil {
		c, part := t.now()
		c.declaredEgress.add(n)
		part.DeclaredEgress += n
	}
}

// Reclass makes what is counted from now on belong to another class: the
// outcome of the request is known.
func (t *Tally) Reclass(c usage.Class) {
	if !c.Known() {
		c = usage.ClassUnbilled
	}
	if t.series == nil || t.key.Class == c {
		return
	}
	t.key.Class = c
	t.series.leave()
	t.enter()
}
