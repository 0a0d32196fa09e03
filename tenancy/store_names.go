package tenancy

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// Names are what people call accounts, buckets and access keys, by row id.
type Names map[string]string

// ReadNames reads the names of all accounts, and those of buckets and the access
// key ids if asked. The names of deleted buckets are among them.
func ReadNames(ctx context.Context, q pg.Querier, buckets, keys bool) (Names, error) {
	all := Names{ID{}.String(): "-"}
	for _, part := range []struct {
		wanted bool
		read   func(context.Context, pg.Querier) (map[ID]string, error)
	}{{true, AccountNames}, {buckets, BucketNames}, {keys, KeyIDs}} {
		if !part.wanted {
			continue
		}
		names, err := part.read(ctx, q)
		if err != nil {
			return nil, err
		}
		for id, name := range names {
			all[id.String()] = name
		}
	}
	return all, nil
}

// Of returns the name of a row, and the id itself when the row is gone. The zero
// id, which stands for a name that nothing was found for, is "-".
func (n Names) Of(id string) string {
	if name, ok := n[id]; ok {
		return name
	}
	return id
}

// BucketNames returns the names of all buckets by id, for reports; of those
// that are gone too.
func BucketNames(ctx context.Context, q pg.Querier) (map[ID]string, error) {
	return names(ctx, q, `SELECT id, name FROM buckets UNION ALL SELECT id, name FROM deleted_buckets`)
}

// AccountNames returns the names of all accounts by id, for reports.
func AccountNames(ctx context.Context, q pg.Querier) (map[ID]string, error) {
	return names(ctx, q, `SELECT id, name FROM accounts`)
}

// KeyIDs returns all access key ids by row id, for reports; of those that are gone too.
func KeyIDs(ctx context.Context, q pg.Querier) (map[ID]string, error) {
	return names(ctx, q, `SELECT id, key_id FROM access_keys UNION SELECT id, key_id FROM ended_keys`)
}

func names(ctx context.Context, q pg.Querier, sql string) (map[ID]string, error) {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	m := map[ID]string{}
	var id ID
	var name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error { m[id] = name; return nil })
	return m, err
}
