package tenancy

import (
	"context"
	"fmt"
	"strings"

	"github.com/primecloudpro/primecloud/internal/finding"
	"github.com/primecloudpro/primecloud/internal/pg"
)

// UnboundKeyring is what an operator is told of a keyring that binds no rows.
const UnboundKeyring = "the keyring is from before rows were bound: who may write the database can change what a key gives; " +
	"when every node is upgraded, rotate the keyring: `primecloud secret add`, the file to every node, `primecloud secret rotate` (docs/decisions/0027)"

// Check looks for rows that somebody without the keyring has changed.
func Check(ctx context.Context, q pg.Querier, store *Store) []finding.Finding {
	const check = "rows of keys and backends"
	if !store.Keyring.Binding() {
		return []finding.Finding{{Check: check, Result: finding.Warning, Detail: UnboundKeyring}}
	}
	list, err := store.ChangedRows(ctx, q)
	if err == nil && len(list) > 0 {
		err = fmt.Errorf("changed by somebody without the keyring, and refused by the gateways: %s", strings.Join(list, ", "))
	}
	return []finding.Finding{finding.Of(check, err, "as they were written")}
}
