package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// cellID names a cell of the ledger.
type cellID struct {
	account, bucket, key tenancy.ID
	class                usage.Class
	hour                 time.Time
}

func (a cellID) compare(b cellID) int {
	return cmp.Or(slices.Compare(a.account[:], b.account[:]), slices.Compare(a.bucket[:], b.bucket[:]), slices.Compare(a.key[:], b.key[:]),
		cmp.Compare(a.class, b.class), a.hour.Compare(b.hour))
}

// CellResult is a cell of which ledger and log say different things.
type CellResult struct {
	Account    Name        `json:"account"`
	Bucket     Name        `json:"bucket"`
	Key        Name        `json:"key"`
	Class      usage.Class `json:"class"`
	Hour       time.Time   `json:"hour"`
	Ledger     Figures     `json:"ledger"`
	Log        Figures     `json:"access_log"`
	Difference Figures     `json:"difference"` // Ledger - Log
	Verdict    Verdict     `json:"verdict"`
	Cause      string      `json:"cause"`
}

// LogReport says what was read of the access log.
type LogReport struct {
	Sum      Figures  `json:"sum"`      // of the window
	Lines    int64    `json:"lines"`    // of any time
	Dropped  Figures  `json:"dropped"`  // lines that nodes could not write about this time, of any account
	Unproven int64    `json:"unproven"` // requests of the window that nobody proved: sums have them
	LeftOut  int64    `json:"left_out"` // those of them that have no line
	Damaged  []string `json:"damaged"`  // lines that cannot be read
	Torn     []string `json:"torn"`     // files that end in the middle of a line: their process writes, or was killed
}

// requestLog is the window's lines, added up.
type requestLog struct {
	LogReport
	cells map[cellID]Figures
	// ended has, of the last minutes, what each line added and when it ended:
	// of a moment that the ledger has yet to name.
	ended   []ending
	buckets map[tenancy.ID]*uploads
}

type ending struct {
	at   time.Time
	cell cellID
	Figures
}

// recent is how far back a node's last flush may lie for its lines to count as
// not written yet; a node that says nothing for longer is a matter of its own.
const recent = 10 * time.Minute

// readLog returns nil when there is none to read.
func readLog(cfg *Config) (*requestLog, error) {
	if len(cfg.Logs) == 0 {
		return nil, nil
	}
	l := &requestLog{cells: map[cellID]Figures{}, buckets: map[tenancy.ID]*uploads{}, LogReport: LogReport{Damaged: []string{}, Torn: []string{}}}
	since := cfg.Now().Add(-recent)
	late := unsummed{last: map[tenancy.ID]time.Time{}, lines: map[tenancy.ID][]*accesslog.Record{}}
	for e, err := range accesslog.Read(cfg.Logs...) {
		var damage *accesslog.DamageError
		switch {
		case errors.Is(err, accesslog.ErrTorn):
			l.Torn = append(l.Torn, err.Error())
			continue
		case errors.As(err, &damage):
			l.Damaged = append(l.Damaged, err.Error())
			continue
		case err != nil:
			return nil, err
		}
		if d := e.Dropped; d != nil {
			if !d.Time.Before(cfg.From) && d.Time.Before(cfg.To.Add(time.Hour)) {
				l.Dropped = l.Dropped.plus(Figures{d.Lines, d.Ingress, d.Egress})
			}
			continue
		}
		if e.Sum != nil {
			l.addSum(cfg, e.Sum, since)
			late.sum(e)
			continue
		}
		l.Lines++
		if e.Summed {
			late.line(e)
		} else {
			l.add(cfg, &e.Record, since)
		}
	}
	for _, lines := range late.lines {
		for _, r := range lines {
			l.add(cfg, r, since)
		}
	}
	return l, nil
}

// unsummed are lines of unproven requests that ended after the last sum of their
// process: it goes on, or was killed.
type unsummed struct {
	last  map[tenancy.ID]time.Time // by epoch
	lines map[tenancy.ID][]*accesslog.Record
}

func (u *unsummed) line(e *accesslog.Entry) {
	if ended(&e.Record).After(u.last[e.Epoch]) {
		u.lines[e.Epoch] = append(u.lines[e.Epoch], &e.Record)
	}
}

func (u *unsummed) sum(e *accesslog.Entry) {
	last := e.Sum.Time
	if !last.After(u.last[e.Epoch]) {
		return
	}
	u.last[e.Epoch] = last
	u.lines[e.Epoch] = slices.DeleteFunc(u.lines[e.Epoch], func(r *accesslog.Record) bool { return !ended(r).After(last) })
}

func ended(r *accesslog.Record) time.Time { return r.Time.Add(r.Elapsed) }

// addSum takes the place of the lines of unproven requests, some of which may
// have been left out or deleted. None of those has stored anything.
func (l *requestLog) addSum(cfg *Config, s *accesslog.Sum, since time.Time) {
	if cfg.Account != (tenancy.ID{}) && s.AccountID != cfg.Account || !l.count(cfg, cellID{s.AccountID, s.BucketID, s.AccessKeyID, s.Class, s.Hour.UTC()}, &s.Delta, s.Time, since) {
		return
	}
	l.Unproven += s.Lines
	l.LeftOut += s.LeftOut
}

// count adds what ended at a moment to its cell, if that is in the window.
func (l *requestLog) count(cfg *Config, id cellID, c *usage.Delta, at, since time.Time) bool {
	if id.hour.Before(cfg.From) || !id.hour.Before(cfg.To) {
		return false
	}
	f := figures(c)
	l.cells[id] = l.cells[id].plus(f)
	l.Sum = l.Sum.plus(f)
	if at.After(since) {
		l.ended = append(l.ended, ending{at, id, f})
	}
	return true
}

func (l *requestLog) add(cfg *Config, r *accesslog.Record, since time.Time) {
	if cfg.Account != (tenancy.ID{}) && r.AccountID != cfg.Account {
		return
	}
	cells, inside := r.Cells(), false
	for i := range cells {
		c := &cells[i]
		id := cellID{r.AccountID, r.BucketID, r.AccessKeyID, c.Class, c.Hour.UTC()}
		inside = l.count(cfg, id, c, ended(r), since) || inside
	}
	if inside {
		u := l.buckets[r.BucketID]
		if u == nil {
			u = newUploads()
			l.buckets[r.BucketID] = u
		}
		u.add(r)
	}
}

// compareCells holds the log against the ledger.
func (r *Report) compareCells(w *window, log *requestLog) {
	late := map[cellID]Figures{} // in the log, and maybe not in the ledger yet
	for _, e := range log.ended {
		if w.missing(e.at) {
			late[e.cell] = late[e.cell].plus(e.Figures)
		}
	}
	dropped := log.Dropped
	ids := make([]cellID, 0, len(w.cells))
	for id := range w.cells {
		ids = append(ids, id)
	}
	for id := range log.cells {
		if _, ok := w.cells[id]; !ok {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, cellID.compare)
	for _, id := range ids {
		c := CellResult{Account: Name{ID: id.account}, Bucket: Name{ID: id.bucket}, Key: Name{ID: id.key}, Class: id.class, Hour: id.hour, Ledger: w.cells[id], Log: log.cells[id]}
		c.Difference = c.Ledger.minus(c.Log)
		if c.Difference == (Figures{}) {
			continue
		}
		r.Unexplained = r.Unexplained.plus(c.explain(late[id], &dropped, w.state(id.hour)).size())
		r.Cells = append(r.Cells, c)
	}
}

// explain returns what is left when each known cause has taken its part.
func (c *CellResult) explain(late Figures, dropped *Figures, state openness) Figures {
	left := c.Difference
	each := func(f func(left, late, dropped *int64)) {
		f(&left.Requests, &late.Requests, &dropped.Requests)
		f(&left.Ingress, &late.Ingress, &dropped.Ingress)
		f(&left.Egress, &late.Egress, &dropped.Egress)
	}
	c.Verdict = Explained
	each(func(left, late, _ *int64) {
		if *left < 0 && *late > 0 {
			*left = min(0, *left+*late)
			c.Cause = "not written by its node yet"
		}
	})
	bytesOnly := left.Requests == 0 && left.Ingress >= 0 && left.Egress >= 0
	switch {
	case state == open:
		each(func(left, _, _ *int64) {
			if *left > 0 {
				*left = 0
				c.Verdict, c.Cause = Possible, "requests under way, and lines on their way to the disk: the hour is not final"
			}
		})
	case state == straddled && bytesOnly && left != (Figures{}):
		left = Figures{}
		c.Verdict, c.Cause = Possible, "transfers that began in the hour and are still under way"
	default:
		each(func(left, _, dropped *int64) {
			if taken := min(*left, *dropped); taken > 0 {
				*left -= taken
				*dropped -= taken
				c.Verdict, c.Cause = Possible, "lines that could not be written, of this account or of others"
			}
		})
	}
	if left == (Figures{}) {
		return left
	}
	c.Verdict = Unexplained
	switch s := left; {
	case s.Requests <= 0 && s.Ingress <= 0 && s.Egress <= 0:
		c.Cause = "the ledger lacks what is in the log"
	case s.Requests == 0 && s.Ingress >= 0 && s.Egress >= 0:
		c.Cause = "the log lacks bytes and no request: transfers cut by the kill of their node look like this"
	case s.Requests >= 0 && s.Ingress >= 0 && s.Egress >= 0:
		c.Cause = "the log lacks what is in the ledger: a line or a node's folder is missing"
	default:
		c.Cause = fmt.Sprintf("both lack something: %+d requests, %+d ingress, %+d egress", s.Requests, s.Ingress, s.Egress)
	}
	return left
}
