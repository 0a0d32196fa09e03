package limits

import (
	"math"
	"time"

	"github.com/primecloudpro/primecloud/tenancy"
)

// ask is what a node says of one of its leases, and wants.
type ask struct {
	budget tenancy.Budget
	period time.Time
	held   int64
	used   int64 // spent and reserved
	need   int64 // what waits beyond what is held
	fresh  bool  // nothing is known here of what this epoch used before
	past   bool  // the period or the node is over: nothing more is wanted
	idle   bool  // nobody uses it
}

// answer is what it gets.
type answer struct {
	granted int64 // what it holds from now on, never less than it held
	known   int64 // what it is known to have used, whatever it says
	target  int64 // how much to keep that is not used
	more    bool  // more can be had
	short   bool  // all that is left was not what was needed
	left    int64 // what neither was used nor is held by others
	spare   int64 // what others hold and have not used
	limit   int64
}

// most bounds how much a node is given ahead of need: what a dead node holds
// is not usable until its readings are final.
var most = [tenancy.Budgets]int64{tenancy.Storage: 4 << 30, tenancy.Egress: 4 << 30, tenancy.Requests: 50_000, tenancy.Spend: 1_000_000_000}

// slice is how much a node may hold ahead of need when so much is neither used
// nor held by others: a quarter of an even share, so that slices shrink as the
// end comes near.
func slice(b tenancy.Budget, left int64, nodes int) int64 {
	return min(max(0, left)/int64(4*max(1, nodes)), most[b])
}

// decide gives a node what it needs and a slice beside, never more than the
// cap leaves after what others hold. It takes nothing back that is held, only
// says how much to keep: what is held may be used at this moment.
func decide(q *ask, c *tenancy.Cap, others, known, spare int64, nodes int) answer {
	used := max(q.used, known)
	a := answer{granted: max(q.held, used), known: known, limit: math.MaxInt64}
	switch {
	case c == nil, c.Soft:
		a.granted = used // it counts what it used, and holds nothing
		return a
	case q.past:
		a.short, a.spare = q.need > 0, math.MaxInt64/2 // the next period has more
		return a
	}
	a.limit, a.left, a.spare = c.Amount, max(0, c.Amount-others-used), spare
	free := max(0, c.Amount-others-a.granted)
	keep := slice(q.budget, c.Amount-others-used, nodes)
	if q.idle && q.need == 0 {
		keep = 0
	}
	more := max(q.need, keep-(a.granted-used))
	a.short = q.need > free
	more = max(0, min(more, free))
	a.granted += more
	a.target, a.more = keep, free > more
	return a
}
