package main

import (
	"context"
	"errors"

	"github.com/primecloudpro/primecloud/internal/finding"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/probe"
)

type doctorCommand struct{}

var errChecksFailed = errors.New("something needs attention, see above")

// Run checks what a node needs, and that the backends do what the gateway relies on.
func (*doctorCommand) Run(ctx context.Context, c *cli) error {
	o, err := c.operator(ctx)
	found := []finding.Finding{finding.Of("database and keyring", err, "connected")}
	if err == nil {
		defer o.pool.Close()
		found = append(found, pg.Check(ctx, o.pool)...)
		found = append(found, tenancy.Check(ctx, o.pool, o.store)...)
		if o.store.Keyring.CanOpen() {
			found = append(found, probe.Check(ctx, o.pool, o.store)...)
		}
	}
	rows := make([][]string, 0, len(found))
	for _, one := range found {
		rows = append(rows, []string{one.Check, string(one.Result), one.Detail})
		if one.Result == finding.Failure {
			err = errChecksFailed
		}
	}
	return errors.Join(c.print(found, "CHECK RESULT DETAIL", rows), err)
}
