package tenancy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// A bucket is seen from its activation until it is removed, and its name is
// taken from the reservation on.
func TestDirectory_bucketLife_D10(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory()
	ctx := t.Context()
	seen := func() error { _, err := d.Bucket(ctx, f.a.ID, []byte("photos")); return err }
	b := must(d.ReserveBucket(ctx, f.a.ID, "photos", true))(t)
	if !b.ObjectLock || b.BackendID != f.backend.ID || b.BackendName != tenancy.BackendName(b.ID) {
		t.Errorf("reserved %+v", b)
	}
	if err := seen(); !errors.Is(err, tenancy.ErrBucketUnknown) {
		t.Errorf("while it is created: %v", err)
	}
	if _, err := d.ReserveBucket(ctx, f.a.ID, "photos", false); !errors.Is(err, tenancy.ErrBucketBusy) {
		t.Errorf("reserved twice: %v", err)
	}
	step := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	step("activate", d.ActivateBucket(ctx, b))
	step("seen at once on this node", seen())
	if _, err := d.ReserveBucket(ctx, f.a.ID, "photos", false); !errors.Is(err, tenancy.ErrBucketExists) {
		t.Errorf("created again: %v", err)
	}
	other := must(d.ReserveBucket(ctx, f.b.ID, "photos", false))(t)
	if other.BackendName == b.BackendName {
		t.Error("two accounts meet in one backend bucket")
	}
	step("begin delete", d.BeginDeleteBucket(ctx, b))
	step("seen while it is deleted", seen())
	if b := must(d.Bucket(ctx, f.a.ID, []byte("photos")))(t); !b.Deleting {
		t.Error("it does not say that it is being deleted")
	}
	if list := must(d.ListBuckets(ctx, f.a.ID, nil, "", "", 10))(t); len(list) != 1 {
		t.Errorf("%d buckets listed while it is deleted", len(list))
	}
	if err := d.BeginDeleteBucket(ctx, b); !errors.Is(err, tenancy.ErrBucketBusy) {
		t.Errorf("deleted twice at once: %v", err)
	}
	if _, err := d.ReserveBucket(ctx, f.a.ID, "photos", false); !errors.Is(err, tenancy.ErrBucketBusy) {
		t.Errorf("created while it is deleted: %v", err)
	}
	step("restore", d.RestoreBucket(ctx, b))
	step("seen after the restoration", seen())
	for what, wrong := range map[string]func() error{
		"activate an active one": func() error { return d.ActivateBucket(ctx, b) },
		"release an active one":  func() error { return d.ReleaseBucket(ctx, b) },
		"remove an active one":   func() error { return d.RemoveBucket(ctx, b) },
		"restore an active one":  func() error { return d.RestoreBucket(ctx, b) },
	} {
		if err := wrong(); !errors.Is(err, tenancy.ErrBucketBusy) {
			t.Errorf("%s: %v", what, err)
		}
	}
	step("begin delete", d.BeginDeleteBucket(ctx, b))
	step("remove", d.RemoveBucket(ctx, b))
	again := must(d.ReserveBucket(ctx, f.a.ID, "photos", false))(t)
	if again.BackendName == b.BackendName {
		t.Error("a new bucket is attached to the old one's data")
	}
	step("release", d.ReleaseBucket(ctx, again))
	step("seen by B", d.ActivateBucket(ctx, other))
	if _, err := d.ReserveBucket(ctx, f.a.ID, "Bad_Name", false); !errors.Is(err, tenancy.ErrInvalidName) {
		t.Errorf("a bad name: %v", err)
	}
	if _, err := d.ReserveBucket(ctx, tenancy.NewID(), "photos", false); !errors.Is(err, tenancy.ErrAccountUnknown) {
		t.Errorf("nobody's bucket: %v", err)
	}
}

// S3-RULES.md D10: many create and delete one name at once; there is never
// more than one, and every one has data of its own.
func TestDirectory_bucketRaces_D10(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	nodes := []*tenancy.Directory{f.directory(), f.directory()}
	ctx := t.Context()
	var all sync.WaitGroup
	var active atomic.Int64
	var names sync.Map
	for i := range 8 {
		d := nodes[i%2]
		all.Go(func() {
			for range 25 {
				b, err := d.ReserveBucket(ctx, f.a.ID, "photos", false)
				if errors.Is(err, tenancy.ErrBucketBusy) || errors.Is(err, tenancy.ErrBucketExists) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if _, twice := names.LoadOrStore(b.BackendName, true); twice || active.Add(1) != 1 {
					t.Error("two buckets at once, or on the same data")
				}
				if err := d.ActivateBucket(ctx, b); err != nil {
					t.Error(err)
				}
				if err := d.BeginDeleteBucket(ctx, b); err != nil {
					t.Error(err)
				}
				active.Add(-1)
				if err := d.RemoveBucket(ctx, b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := count(t, f.owner, `SELECT count(*) FROM buckets`); n != 0 {
		t.Errorf("%d records left", n)
	}
}

// What a dead process left: creations are forgotten, with their data, whatever
// their names; a deletion is undone, so that the owner may try again. One that
// runs is left alone.
func TestStore_abandonedBuckets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	gateway := f.db.Pool(t, pg.RoleGateway)
	creating := must(tenancy.ReserveBucket(ctx, gateway, f.a.ID, "creating", true, 0))(t)
	_ = must(tenancy.ReserveBucket(ctx, gateway, f.a.ID, "creating-too", true, 0))(t)
	deleting := f.bucket(f.a, "deleting")
	fresh := f.bucket(f.a, "fresh")
	f.exec(`UPDATE buckets SET state = 'deleting' WHERE name IN ('deleting', 'fresh')`)
	f.exec(`UPDATE buckets SET updated_at = now() - interval '6 minutes' WHERE name <> 'fresh'`)
	// They do not count: with the two that are being deleted there is room for one.
	again := must(tenancy.ReserveBucket(ctx, gateway, f.a.ID, "creating", false, 3))(t)
	if again.ID == creating.ID || again.BackendName == creating.BackendName || again.ObjectLock {
		t.Errorf("the new bucket %+v is the abandoned one", again)
	}
	if n := count(t, f.owner, `SELECT count(*) FROM buckets WHERE name = 'creating-too'`); n != 0 {
		t.Error("another abandoned creation is still counted")
	}
	d := f.directory()
	// A row that somebody holds keeps nobody from the others.
	held := f.bucket(f.a, "held")
	f.exec(`UPDATE buckets SET state = 'deleting', updated_at = now() - interval '6 minutes' WHERE id = $1`, held.ID)
	tx := must(f.owner.Begin(ctx))(t)
	defer func() { _ = tx.Rollback(context.Background()) }()
	must(tx.Exec(ctx, `SELECT FROM buckets WHERE id = $1 FOR UPDATE`, held.ID))(t)
	soon, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if n := must(tenancy.RestoreAbandoned(soon, gateway))(t); n != 1 {
		t.Errorf("%d restored", n)
	}
	if err := d.BeginDeleteBucket(ctx, deleting); err != nil {
		t.Errorf("the bucket cannot be deleted again: %v", err)
	}
	if err := d.BeginDeleteBucket(ctx, fresh); !errors.Is(err, tenancy.ErrBucketBusy) {
		t.Errorf("a deletion that runs was undone: %v", err)
	}
}

// Of creations at once on two nodes exactly those pass for which there is
// room, whoever they are raced by: deletions and creations that fail included.
func TestDirectory_tooManyBuckets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	three := func(c *tenancy.DirectoryConfig) { c.MaxBuckets = 3 }
	nodes := []*tenancy.Directory{f.directory(three), f.directory(three)}
	ctx := t.Context()
	create := func(account tenancy.ID, n int, prefix string) (made []*tenancy.Bucket) {
		t.Helper()
		var all sync.WaitGroup
		results := make([]*tenancy.Bucket, n)
		for i := range n {
			all.Go(func() {
				var err error
				if results[i], err = nodes[i%2].ReserveBucket(ctx, account, fmt.Sprint(prefix, i), false); err != nil && !errors.Is(err, tenancy.ErrTooManyBuckets) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, b := range results {
			if b != nil {
				made = append(made, b)
			}
		}
		return made
	}
	made := create(f.a.ID, 10, "first-")
	if len(made) != 3 {
		t.Fatalf("%d of at most 3 were created", len(made))
	}
	for _, b := range made {
		if err := nodes[0].ActivateBucket(ctx, b); err != nil {
			t.Error(err)
		}
	}
	if _, err := nodes[1].ReserveBucket(ctx, f.a.ID, made[0].Name, false); !errors.Is(err, tenancy.ErrBucketExists) {
		t.Errorf("one that exists, at the limit: %v", err)
	}
	if n := len(create(f.b.ID, 10, "other-")); n != 3 {
		t.Errorf("another account has its own limit: %d", n)
	}
	if err := errors.Join(nodes[0].BeginDeleteBucket(ctx, made[0]), nodes[0].RemoveBucket(ctx, made[0])); err != nil {
		t.Fatal(err)
	}
	if n := len(create(f.a.ID, 10, "second-")); n != 1 {
		t.Errorf("%d created in the place of one", n)
	}
	// The account's own number, more and less than it has.
	for _, c := range []struct{ most, passes int }{{5, 2}, {1, 0}} {
		if err := tenancy.SetLimits(ctx, f.owner, f.a.ID, &tenancy.Limits{Buckets: int64(c.most)}); err != nil {
			t.Fatal(err)
		}
		if n := len(create(f.a.ID, 10, fmt.Sprint("limit-", c.most, "-"))); n != c.passes {
			t.Errorf("with %d: %d created, want %d", c.most, n, c.passes)
		}
	}
	// The operator is not bounded.
	f.bucket(f.a, "imported")
	if _, err := tenancy.ReserveBucket(ctx, f.owner, f.a.ID, "of-the-operator", false, 0); err != nil {
		t.Error(err)
	}
}

// Of two nodes that count at one moment the second waits for what the first makes.
func TestStore_lastBucket(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	gateway := f.db.Pool(t, pg.RoleGateway)
	var once sync.Once
	second := make(chan error, 1)
	first := f.db.BeforeCommit(t, pg.RoleGateway, func() {
		once.Do(func() {
			go func() {
				_, err := tenancy.ReserveBucket(t.Context(), gateway, f.a.ID, "second", false, 1)
				second <- err
			}()
			testenv.WaitFor(t, "the second to wait, or to be answered", func() bool {
				return len(second) > 0 || f.db.LockAwaited(t)
			})
		})
	})
	if _, err := tenancy.ReserveBucket(t.Context(), first, f.a.ID, "first", false, 1); err != nil {
		t.Error(err)
	}
	if err := <-second; !errors.Is(err, tenancy.ErrTooManyBuckets) {
		t.Errorf("two buckets were made in the place of one: %v", err)
	}
}

// A key that is limited to some buckets sees those of them that are there,
// page by page as anybody else.
func TestDirectory_ListBuckets_only(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory()
	f.bucket(f.b, "n-01-of-b")
	for i := range 20 {
		f.bucket(f.a, fmt.Sprintf("n-%02d", i))
	}
	for _, c := range []struct {
		only  []string
		after string
		want  string
	}{
		{nil, "n-16", "n-17 n-18 n-19"},
		{[]string{}, "", ""},
		{[]string{"n-19", "n-01-of-b", "absent", "n-00", "n-07"}, "", "n-00 n-07"},
		{[]string{"n-19", "n-01-of-b", "absent", "n-00", "n-07"}, "n-07", "n-19"},
	} {
		var names []string
		limit := 2
		if c.only == nil {
			limit = 10
		}
		for _, b := range must(d.ListBuckets(t.Context(), f.a.ID, c.only, "n-", c.after, limit))(t) {
			names = append(names, b.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%v behind %q: %s, want %s", c.only, c.after, got, c.want)
		}
	}
}

func TestStore_noBackend(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`DELETE FROM backends`)
	if _, err := tenancy.ReserveBucket(t.Context(), f.owner, f.a.ID, "photos", false, 0); !errors.Is(err, tenancy.ErrNoBackend) {
		t.Error(err)
	}
	if _, err := f.directory().ReserveBucket(t.Context(), f.a.ID, "photos", false); !errors.Is(err, tenancy.ErrNoBackend) || errors.Is(err, tenancy.ErrUnavailable) {
		t.Error(err)
	}
}

// S3-RULES.md D4: 0, 1 and 1001 buckets; prefix and continuation, in byte order.
func TestDirectory_ListBuckets_D4(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory()
	list := func(prefix, after string, limit int) (names []string) {
		t.Helper()
		for _, b := range must(d.ListBuckets(t.Context(), f.a.ID, nil, prefix, after, limit))(t) {
			names = append(names, b.Name)
		}
		return names
	}
	if got := list("", "", 10); got != nil {
		t.Errorf("empty: %v", got)
	}
	f.bucket(f.b, "n-01-of-b")
	for _, n := range []string{"a.b", "a-b", "a0b", "aab", "a-c"} {
		f.bucket(f.a, n)
	}
	if got, want := list("", "", 10), []string{"a-b", "a-c", "a.b", "a0b", "aab"}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	if got, want := list("a-", "", 10), []string{"a-b", "a-c"}; !slices.Equal(got, want) {
		t.Errorf("prefix: %v", got)
	}
	if got, want := list("a", "a-c", 2), []string{"a.b", "a0b"}; !slices.Equal(got, want) {
		t.Errorf("after: %v", got)
	}
	if got := list("%", "", 10); got != nil {
		t.Errorf("a wildcard: %v", got)
	}
	f.exec(`INSERT INTO buckets (id, account_id, name, backend_id, backend_name, state)
		SELECT gen_random_uuid(), $1, 'many-' || n, $2, 'pc-many-' || n, 'active' FROM generate_series(1, 1001) n`, f.a.ID, f.backend.ID)
	var all []string
	for after := ""; ; after = all[len(all)-1] {
		page := list("many-", after, 100)
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
	}
	if len(all) != 1001 || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != 1001 {
		t.Errorf("%d buckets in pages", len(all))
	}
}

// Buckets in a real MinIO: created, and taken over when nobody owns them.
func TestStore_realBackend(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	m := testenv.MinIO(t)
	store := &tenancy.Store{Keyring: f.keyring}
	real := must(store.AddBackend(ctx, f.owner, tenancy.Backend{
		Name: "real", Endpoints: []string{m.Endpoint}, AccessKeyID: m.AccessKey, SecretKey: m.SecretKey, Default: true,
	}))(t)
	if err := real.Check(ctx); err != nil {
		t.Fatal(err)
	}
	wrong := *real
	wrong.SecretKey = "another secret"
	if err := wrong.Check(ctx); err == nil {
		t.Error("a wrong secret passes the check")
	} else if strings.Contains(err.Error(), wrong.SecretKey) {
		t.Errorf("the secret is in the error: %v", err)
	}
	client := must(real.Client())(t)
	b := must(store.CreateBucket(ctx, f.owner, f.a.ID, "made"))(t)
	if ok, err := client.BucketExists(ctx, b.BackendName); !ok || err != nil {
		t.Errorf("not in the backend: %v", err)
	}
	if _, err := store.CreateBucket(ctx, f.owner, f.a.ID, "made"); !errors.Is(err, tenancy.ErrBucketExists) {
		t.Errorf("created again: %v", err)
	}
	plain, locked := strings.ToLower(fmt.Sprint("legacy-", f.db.Name[2:])), strings.ToLower(fmt.Sprint("locked-", f.db.Name[2:]))
	if err := errors.Join(
		client.MakeBucket(ctx, plain, minio.MakeBucketOptions{}),
		client.MakeBucket(ctx, locked, minio.MakeBucketOptions{ObjectLocking: true}),
	); err != nil {
		t.Fatal(err)
	}
	if got := must(store.TakeOver(ctx, f.owner, f.a.ID, "legacy", "", plain))(t); got.BackendName != plain || got.ObjectLock {
		t.Errorf("taken over: %+v", got)
	}
	if got := must(store.TakeOver(ctx, f.owner, f.a.ID, "locked", "real", locked))(t); !got.ObjectLock {
		t.Error("object lock was not noticed")
	}
	for what, c := range map[string]struct {
		account       tenancy.ID
		name, backend string
		bucket        string
		want          error
	}{
		"owned by A":     {f.b.ID, "mine", "real", plain, tenancy.ErrBucketTaken},
		"made by A":      {f.b.ID, "mine", "real", b.BackendName, tenancy.ErrBucketTaken},
		"name taken":     {f.a.ID, "made", "real", plain + "x", tenancy.ErrBucketUnknown},
		"absent":         {f.a.ID, "absent", "real", "absent-" + plain, tenancy.ErrBucketUnknown},
		"absent backend": {f.a.ID, "x-y", "elsewhere", plain, tenancy.ErrBackendUnknown},
		"bad name":       {f.a.ID, "BAD", "real", plain, tenancy.ErrInvalidName},
	} {
		if _, err := store.TakeOver(ctx, f.owner, c.account, c.name, c.backend, c.bucket); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	d := f.directory()
	eventually(t, "seen by the gateway", func() bool {
		_, err := d.Bucket(ctx, f.a.ID, []byte("legacy"))
		return err == nil
	})
}

// A backend that is away leaves no record behind.
func TestStore_CreateBucket_backendAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	store := &tenancy.Store{Keyring: f.keyring}
	if err := store.RotateBackend(t.Context(), f.owner, "minio", "id", "secret", []string{"http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.CreateBucket(t.Context(), f.owner, f.a.ID, "photos"); err == nil {
		t.Error("created in a backend that is away")
	}
	if n := count(t, f.owner, `SELECT count(*) FROM buckets`); n != 0 {
		t.Errorf("%d records left behind", n)
	}
}
