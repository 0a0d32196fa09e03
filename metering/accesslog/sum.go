package accesslog

import (
	"encoding/json"
	"time"

	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// sumInterval is how often sums are written, and so what of them a killed
// process loses.
const sumInterval = 5 * time.Second

// Sum is what one cell of the ledger has of requests that nobody proved, whether
// or not they have lines of their own.
type Sum struct {
	Time    time.Time `json:"time"` // up to now, since the last sum of the cell
	Node    string    `json:"node"`
	Lines   int64     `json:"unproven"` // requests that have ended
	LeftOut int64     `json:"left_out"` // those of them that have no line

	AccountID   tenancy.ID `json:"account_id"`
	BucketID    tenancy.ID `json:"bucket_id"`
	AccessKeyID tenancy.ID `json:"key_id"`
	usage.Delta
}

// maxCells bounds the cells of which sums are kept apart. What is beyond, a
// Dropped stands for.
const maxCells = 512

// sumKey names a cell.
type sumKey struct {
	account, bucket, key tenancy.ID
	class                usage.Class
	hour                 int64 // Unix
}

// sums are those of some cells since they were last written.
type sums struct {
	cells  map[sumKey]Sum
	beyond Dropped
}

// add counts a request in each of its cells.
func (s *sums) add(r *Record, leftOut bool) {
	parts := r.Parts
	if len(parts) == 0 {
		s.count(r, &r.Delta, true, leftOut)
		return
	}
	for i := range parts {
		s.count(r, &parts[i], i == len(parts)-1, leftOut)
	}
}

func (s *sums) count(r *Record, c *usage.Delta, last, leftOut bool) {
	sum := Sum{AccountID: r.AccountID, BucketID: r.BucketID, AccessKeyID: r.AccessKeyID, Delta: *c}
	if last {
		sum.Lines = 1
		if leftOut {
			sum.LeftOut = 1
		}
	}
	s.plus(&sum)
}

func (s *sums) plus(more *Sum) {
	key := sumKey{more.AccountID, more.BucketID, more.AccessKeyID, more.Class, more.Hour.Unix()}
	sum, known := s.cells[key]
	if !known {
		if len(s.cells) >= maxCells {
			s.beyond.Lines += more.Requests
			s.beyond.Ingress += more.Ingress
			s.beyond.Egress += more.Egress
			return
		}
		if s.cells == nil {
			s.cells = map[sumKey]Sum{}
		}
		s.cells[key] = *more
		return
	}
	sum.Lines += more.Lines
	sum.LeftOut += more.LeftOut
	sum.Add(&more.Delta)
	s.cells[key] = sum
}

// moveTo empties s into another and keeps its memory.
func (s *sums) moveTo(all *sums) {
	for _, sum := range s.cells {
		all.plus(&sum)
	}
	all.beyond.Lines += s.beyond.Lines
	all.beyond.Ingress += s.beyond.Ingress
	all.beyond.Egress += s.beyond.Egress
	clear(s.cells)
	s.beyond = Dropped{}
}

// appendLines appends a line for each cell.
func (s *sums) appendLines(dst []byte, now time.Time, node string) []byte {
	for _, sum := range s.cells {
		sum.Time, sum.Node = now, node
		dst = appendMarker(dst, &sum)
	}
	if s.beyond != (Dropped{}) {
		s.beyond.Time, s.beyond.Node = now, node
		dst = appendMarker(dst, &s.beyond)
	}
	return dst
}

// appendMarker appends a line that is no request's.
func appendMarker(dst []byte, v any) []byte {
	line, err := json.Marshal(v)
	if err != nil {
		return dst // numbers and a label: it does not fail
	}
	return append(append(dst, line...), '\n')
}
