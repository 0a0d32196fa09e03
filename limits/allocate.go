package limits

import (
	"math"
	"time"

	"github.com/primecloudpro/primecloud/tenancy"
)

// leaseRequest is what a node reports of one of its leases, and asks for.
type leaseRequest struct {
	budget      tenancy.Budget
	period      time.Time
	held        int64
	used        int64 // spent and reserved
	need        int64 // what requests wait for beyond what is held
	firstReport bool  // the node does not know what its epoch used before
	expired     bool  // the period is over, or the node stops: it wants nothing more
	idle        bool  // it was not used for some renewals
}

// leaseGrant is what PostgreSQL allots in return.
type leaseGrant struct {
	granted      int64 // what it holds from now on, never less than it held
	ledgerUsed   int64 // what it is known to have used, whatever it reports
	target       int64 // how much unused to keep
	more         bool  // more can be had
	insufficient bool  // what is left is less than what was needed
	left         int64 // what neither was used nor is held by others
	reclaimable  int64 // what others hold and have not used
	limit        int64
}

// maxQuantum bounds how much a node is given ahead of need: what a dead node holds
// cannot be used by others until its readings are final.
var maxQuantum = [tenancy.Budgets]int64{tenancy.Storage: 4 << 30, tenancy.Egress: 4 << 30, tenancy.Requests: 50_000, tenancy.Spend: 1_000_000_000}

// quantum is how much a node may hold ahead of need, left being what is neither
// used nor held by others: a quarter of an even share, so that it shrinks as the
// end comes near.
func quantum(b tenancy.Budget, left int64, nodes int) int64 {
	return min(max(0, left)/int64(4*max(1, nodes)), maxQuantum[b])
}

// allocate gives a node what it needs and a quantum beside, never more than the
// cap leaves after what others hold. It takes nothing back that is held, only
// says how much to keep: what is held may be used at this moment.
func allocate(q *leaseRequest, c *tenancy.Cap, others, ledgerUsed, reclaimable int64, nodes int) leaseGrant {
	used := max(q.used, ledgerUsed)
	a := leaseGrant{granted: max(q.held, used), ledgerUsed: ledgerUsed, limit: math.MaxInt64}
	switch {
	case c == nil, c.Soft:
		a.granted = used // it counts what it used, and holds nothing
		return a
	case q.expired:
		a.insufficient, a.reclaimable = q.need > 0, math.MaxInt64/2 // the next period has more
		return a
	}
	a.limit, a.left, a.reclaimable = c.Amount, max(0, c.Amount-others-used), reclaimable
	free := max(0, c.Amount-others-a.granted)
	keep := quantum(q.budget, c.Amount-others-used, nodes)
	if q.idle && q.need == 0 {
		keep = 0
	}
	more := max(q.need, keep-(a.granted-used))
	a.insufficient = q.need > free
	more = max(0, min(more, free))
	a.granted += more
	a.target, a.more = keep, free > more
	return a
}
