package tenancy_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
)

// What one node sets, another one hears of; it goes with its bucket.
func TestDirectory_SetLogging(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	here, there := f.directory(), f.directory()
	source := f.bucket(f.a, "source")
	seen := func() *tenancy.BucketLogging {
		return must(there.Bucket(t.Context(), f.a.ID, []byte("source")))(t).Logging
	}
	if seen() != nil {
		t.Error("on by itself")
	}
	for _, want := range []*tenancy.BucketLogging{
		{Target: "logs", Prefix: "p/"}, {Target: "logs", Format: tenancy.ByEventTime}, nil, {Target: "source", Prefix: "ü\"", Format: tenancy.SimplePrefix},
	} {
		if err := here.SetLogging(t.Context(), source, want); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the other node to hear of it", func() bool { return cmp.Equal(seen(), want) })
	}
	list := must(here.LoggedBuckets(t.Context()))(t)
	if len(list) != 1 || list[0].ID != source.ID || list[0].BackendName != source.BackendName || list[0].Account != "a" || list[0].CanonicalID != f.a.CanonicalID {
		t.Errorf("%+v", list)
	}
	// The name is looked up in the source's account alone.
	f.bucket(f.b, "elsewhere")
	if err := here.SetLogging(t.Context(), source, &tenancy.BucketLogging{Target: "elsewhere"}); err != nil {
		t.Fatal(err)
	}
	if list = must(here.LoggedBuckets(t.Context()))(t); list[0].BackendName != "" {
		t.Errorf("another account's bucket was found: %+v", list[0])
	}
	f.exec(`DELETE FROM buckets WHERE id = $1`, source.ID)
	if err := here.SetLogging(t.Context(), source, &tenancy.BucketLogging{Target: "logs"}); !errors.Is(err, tenancy.ErrBucketUnknown) {
		t.Errorf("of a bucket that is gone: %v", err)
	}
	if n := count(t, f.owner, `SELECT count(*) FROM bucket_logging`); n != 0 {
		t.Errorf("%d rows outlive their bucket", n)
	}
}

func TestRoles_bucketLogging(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, b := range []*tenancy.Bucket{f.bucket(f.a, "source"), f.bucket(f.b, "source")} {
		f.exec(`INSERT INTO bucket_logging (bucket_id, target_name, target_prefix, key_format) VALUES ($1, 'logs', '', '')`, b.ID)
	}
	portal, worker, gateway := f.db.Pool(t, pg.RolePortal), f.db.Pool(t, pg.RoleWorker), f.db.Pool(t, pg.RoleGateway)
	if n := count(t, portal, `SELECT count(*) FROM bucket_logging`); n != 0 {
		t.Errorf("the portal sees %d rows without an account", n)
	}
	if err := tenancy.AsAccount(t.Context(), portal, f.a.ID, func(tx pgx.Tx) error {
		if n := count(t, tx, `SELECT count(*) FROM bucket_logging`); n != 1 {
			t.Errorf("the portal sees %d rows as A", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n := count(t, worker, `SELECT count(*) FROM bucket_logging`); n != 2 {
		t.Errorf("the worker sees %d rows", n)
	}
	const change = `UPDATE bucket_logging SET target_name = 'mine'`
	for what, try := range map[string]func() (pgconn.CommandTag, error){
		"the portal changes one": func() (tag pgconn.CommandTag, err error) {
			return tag, tenancy.AsAccount(t.Context(), portal, f.a.ID, func(tx pgx.Tx) (err error) {
				tag, err = tx.Exec(t.Context(), change)
				return err
			})
		},
		"the worker changes one": func() (pgconn.CommandTag, error) { return worker.Exec(t.Context(), change) },
		"the gateway moves one": func() (pgconn.CommandTag, error) {
			return gateway.Exec(t.Context(), `UPDATE bucket_logging SET bucket_id = gen_random_uuid()`)
		},
		"an unknown format is taken": func() (pgconn.CommandTag, error) {
			return gateway.Exec(t.Context(), `UPDATE bucket_logging SET key_format = 'x'`)
		},
	} {
		tag, err := try()
		denied(t, what, tag, err)
	}
}
