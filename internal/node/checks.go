package node

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/proxy"
	"github.com/primecloudpro/primecloud/tenancy"
)

// The checks of /readyz, one function each. They answer from memory.

func (n *node) clockRight() health.Result {
	if n.clock.Right() {
		return health.Good()
	}
	return health.Bad("This machine's clock is %s ahead of the database's: run NTP.", n.clock.Offset())
}

// databaseThere is not about whether PostgreSQL answers: while it does not, and what is
// in memory may be used, the node serves, and one that takes no requests would help nobody.
func databaseThere(d *tenancy.Directory, now time.Time) health.Result {
	since, until := d.Outage()
	switch {
	case since.IsZero():
		return health.Good()
	case now.Before(until):
		return health.Notice("PostgreSQL has told nothing for %s: keys and buckets that are in memory work for another %s, others do not.",
			now.Sub(since).Round(time.Second), until.Sub(now).Round(time.Second))
	}
	return health.Bad("PostgreSQL has told nothing for %s, longer than database.max_stale: bring it back.", now.Sub(since).Round(time.Second))
}

func journalChecks(m *metering.Meter) []health.Check {
	return []health.Check{
		{Name: "journal", Look: func() health.Result { return whether(m.Unwritable()) }},
		{Name: "epoch", Look: func() health.Result {
			switch {
			case m.Retired():
				return health.Bad("The epoch %s of this node was retired while it runs, and gets no budgets any more: restart it.", m.Epoch())
			case m.Contested():
				return health.Notice("Another process writes the usage of the epoch %s, and no figure becomes final: restart both, then retire it.", m.Epoch())
			}
			return health.Good()
		}},
	}
}

// whether is the result of an error: its text is for the operator.
func whether(err error) health.Result {
	if err == nil {
		return health.Good()
	}
	return health.Bad("%s.", err)
}

// ofWorker keeps a check of the worker from taking requests away from a node that has
// the other role, too: jobs are the fleet's, and balancers ask about requests.
func (n *node) ofWorker(c health.Check) health.Check {
	if !n.cfg.has(RoleGateway) {
		return c
	}
	look := c.Look
	c.Look = func() health.Result {
		r := look()
		r.OK = true
		return r
	}
	return c
}

// roleInterval is between two looks at what a login may do.
const roleInterval = 10 * time.Second

// watchRole refuses to start with a login that lacks rights of the role, and looks
// again while the node runs. setting names the login's address.
func (n *node) watchRole(ctx context.Context, setting string, pool *pgxpool.Pool, role string) error {
	if err := pg.CheckRole(ctx, pool, role); err != nil {
		return fmt.Errorf("%s: %w", setting, err)
	}
	var lacks atomic.Pointer[error]
	s := Background("rights of "+role, func(ctx context.Context) error {
		return every(ctx, roleInterval, func(ctx context.Context) {
			switch err := pg.CheckRole(ctx, pool, role); {
			case errors.Is(err, pg.ErrRole):
				if lacks.Swap(&err) == nil {
					n.log.Error("a login of the database lacks rights", "setting", setting, "error", err)
				}
			case err == nil:
				lacks.Store(nil)
			}
		})
	})
	check := health.Check{Name: "rights of " + role, Look: func() health.Result {
		if err := lacks.Load(); err != nil {
			return health.Bad("%s: %s.", setting, *err)
		}
		return health.Good()
	}}
	if role == pg.RoleWorker {
		check = n.ofWorker(check)
	}
	s.Checks = []health.Check{check}
	return n.services.Push(s)
}

// watchBackends makes the gateway look at backends that no request was for yet, and
// forget those that are gone.
func watchBackends(pool *pgxpool.Pool, gateway *proxy.Server) Service {
	return Background("backends", func(ctx context.Context) error {
		return every(ctx, backendsInterval, func(ctx context.Context) {
			if list, err := tenancy.ListBackends(ctx, pool); err == nil { // else those that are known stay
				ids := make([]tenancy.ID, len(list))
				for i, b := range list {
					ids[i] = b.ID
				}
				gateway.KeepBackends(ctx, ids)
			}
		})
	})
}

const backendsInterval = 10 * time.Second

// every calls do at once, and again after each interval until ctx ends. What do asks
// for has half of an interval.
func every(ctx context.Context, interval time.Duration, do func(context.Context)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		asking, done := context.WithTimeout(ctx, interval/2)
		do(asking)
		done()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
