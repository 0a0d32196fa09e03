package storage_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

var (
	alpha, beta = tenancy.ID{0xa}, tenancy.ID{0xb}
	bucket1     = tenancy.ID{1}
	bucket2     = tenancy.ID{2}
)

// shelf is two accounts' buckets with samples that the test says.
type shelf struct {
	*testing.T
	db    *testenv.DB
	owner *pgxpool.Pool
	hour  time.Time // the first
}

func (s *shelf) exec(sql string, args ...any) {
	s.Helper()
	if _, err := s.owner.Exec(s.Context(), sql, args...); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
}

func (s *shelf) at(hours float64) time.Time {
	return s.hour.Add(time.Duration(hours * float64(time.Hour)))
}

// bucket is there from born on, counted in hours.
func (s *shelf) bucket(account, id tenancy.ID, name string, born float64) {
	s.exec(`INSERT INTO buckets (id, account_id, name, backend_id, backend_name, state, created_at)
		SELECT $1, $2, $3, id, 'b-' || $3, 'active', $4 FROM backends`, id, account, name, s.at(born))
}

func (s *shelf) sample(account, bucket tenancy.ID, hour float64, current, noncurrent, incomplete int64) {
	s.exec(`INSERT INTO storage_samples (bucket_id, hour, account_id, current_bytes, noncurrent_bytes, incomplete_bytes, objects, noncurrent_versions,
			delete_markers, uploads, source, started_at, measured_at)
		VALUES ($1, $2, $3, $4, $5, $6, 1, 1, 0, 1, 'listing', $2, $2)`, bucket, s.at(hour), account, current, noncurrent, incomplete)
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	db := testenv.Postgres(t)
	s := &shelf{t, db, db.Pool(t, pg.RoleOwner), time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	s.exec(`INSERT INTO backends (id, name, endpoints, region, sealed_credential) VALUES (gen_random_uuid(), 'minio', '{http://x}', 'r', '')`)
	for name, id := range map[string]tenancy.ID{"alpha": alpha, "beta": beta} {
		s.exec(`INSERT INTO accounts (id, name, display_name, canonical_id, status) VALUES ($1, $2, $2, repeat(substr($2, 1, 1), 64), 'active')`, id, name)
	}
	// The first is there from before 10:00 on. Of 13:00 there is no sample, of
	// 14:00 a failure, at 15:20 it is now.
	s.bucket(alpha, bucket1, "one", -0.5)
	for hour, size := range map[float64]int64{0: 100, 1: 200, 2: 300, 5: 400} {
		s.sample(alpha, bucket1, hour, size, size/10, 1)
	}
	s.exec(`INSERT INTO storage_gaps (bucket_id, hour, account_id, error, failed_at) VALUES ($1, $2, $3, 'minio is away', $2)`, bucket1, s.at(4), alpha)
	// The second is there from 11:40 to 13:10: a part of an hour is not missed,
	// 12:00 is.
	s.bucket(alpha, bucket2, "two", 1.667)
	s.sample(alpha, bucket2, 1, 7, 0, 0)
	s.exec(`DELETE FROM buckets WHERE id = $1`, bucket2)
	s.exec(`UPDATE deleted_buckets SET deleted_at = $1`, s.at(3.167))
	// Nobody has ever measured the third.
	s.bucket(beta, tenancy.ID{3}, "three", 1)
	return s
}

func TestSum(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	now := s.at(5.333)
	type line struct {
		value                                              string
		current, noncurrent, incomplete, measured, missing int64
	}
	hour := func(n float64) string { return s.at(n).Format(time.RFC3339) }
	for _, tc := range []struct {
		name  string
		query ledger.Query
		want  []line
	}{
		{"by bucket", ledger.Query{Account: alpha, By: ledger.ByBucket}, []line{
			{bucket1.String(), 1000, 100, 4, 4, 2}, {bucket2.String(), 7, 0, 0, 1, 1}}},
		{"by hour", ledger.Query{Account: alpha, By: ledger.ByHour}, []line{
			{hour(0), 100, 10, 1, 1, 0}, {hour(1), 207, 20, 1, 2, 0}, {hour(2), 300, 30, 1, 1, 1}, {hour(3), 0, 0, 0, 0, 1}, {hour(4), 0, 0, 0, 0, 1}, {hour(5), 400, 40, 1, 1, 0}}},
		{"never measured", ledger.Query{Account: beta, By: ledger.ByBucket}, []line{{tenancy.ID{3}.String(), 0, 0, 0, 0, 4}}},
		{"bounds", ledger.Query{Account: alpha, By: ledger.ByBucket, From: s.at(2), To: s.at(4)}, []line{
			{bucket1.String(), 300, 30, 1, 1, 1}, {bucket2.String(), 0, 0, 0, 0, 1}}},
		{"before everything", ledger.Query{By: ledger.ByHour, To: s.at(-3)}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := storage.Sum(t.Context(), s.db.Pool(t, pg.RoleWorker), tc.query, now)
			if err != nil {
				t.Fatal(err)
			}
			var lines []line
			for _, u := range got {
				lines = append(lines, line{u.Value, u.Current.Int64(), u.Noncurrent.Int64(), u.Incomplete.Int64(), u.Measured, u.Missing})
			}
			if diff := cmp.Diff(tc.want, lines, cmp.AllowUnexported(line{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := storage.Sum(t.Context(), s.db.Pool(t, pg.RoleWorker), ledger.Query{By: ledger.ByKey}, now); err == nil {
		t.Error("storage by key")
	}
}

// The missing hours are named, each run once, with what was wrong.
func TestGaps(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	got, err := storage.Gaps(t.Context(), s.db.Pool(t, pg.RoleWorker), ledger.Query{}, s.at(5.333))
	want := []storage.Gap{
		{Account: alpha, Bucket: bucket1, From: s.at(3), To: s.at(5), Error: "minio is away"},
		{Account: alpha, Bucket: bucket2, From: s.at(2), To: s.at(3)},
		{Account: beta, Bucket: tenancy.ID{3}, From: s.at(1), To: s.at(5)},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// A hundred petabytes over a month are more byte-hours than an int64 holds.
func TestSum_Large(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	const petabytes = 100e15
	s.exec(`DELETE FROM storage_samples`)
	s.exec(`INSERT INTO storage_samples SELECT $1, $2::timestamptz + n * interval '1 hour', $3, $4, 0, 0, 1, 0, 0, 0, 'listing', now(), now()
		FROM generate_series(0, 743) n`, bucket1, s.at(0), alpha, int64(petabytes))
	got, err := storage.Sum(t.Context(), s.db.Pool(t, pg.RoleWorker), ledger.Query{Account: alpha, By: ledger.ByBucket, To: s.at(744)}, s.at(800))
	if err != nil || len(got) != 2 || got[0].Current.String() != "74400000000000000000" || got[0].Missing != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A listing that is not over may still fill its hours.
func TestFinal(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	pool := s.db.Pool(t, pg.RoleWorker)
	if final, err := storage.Final(t.Context(), pool, s.at(5.333)); err != nil || !final.Equal(s.at(5)) {
		t.Errorf("final until %s, %v", final, err)
	}
	s.exec(`INSERT INTO storage_listings (bucket_id, holder, held_until, started_at, hours, marker, current_bytes, noncurrent_bytes, objects, noncurrent_versions, delete_markers)
		VALUES ($1, gen_random_uuid(), now(), now(), $2, '', 0, 0, 0, 0, 0)`, bucket1, []time.Time{s.at(4), s.at(3)})
	if final, err := storage.Final(t.Context(), pool, s.at(5.333)); err != nil || !final.Equal(s.at(3)) {
		t.Errorf("with a listing since then, final until %s, %v", final, err)
	}
	// One that has just begun has not kept its hours yet.
	for held, want := range map[string]time.Time{"infinity": s.at(4), "-infinity": s.at(5)} {
		s.exec(`UPDATE storage_listings SET held_until = $1::text::timestamptz, started_at = $2, hours = '{}'`, held, s.at(4.999))
		if final, err := storage.Final(t.Context(), pool, s.at(5.001)); err != nil || !final.Equal(want) {
			t.Errorf("with a listing held until %s, final until %s, %v", held, final, err)
		}
	}
}

// What each database role may do with samples.
func TestStorage_Roles(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	for role, statements := range map[string][]string{
		pg.RoleGateway: {`UPDATE storage_samples SET current_bytes = 0`, `DELETE FROM storage_samples`, `SELECT key FROM storage_uploads`, `INSERT INTO deleted_buckets SELECT * FROM deleted_buckets`},
		pg.RolePortal: {`DELETE FROM storage_samples`, `UPDATE storage_samples SET current_bytes = 0`, `SELECT error FROM storage_gaps`,
			`SELECT key FROM storage_uploads`, `SELECT marker FROM storage_listings`, `SELECT sealed_credential FROM backends`},
		pg.RoleWorker: {`DELETE FROM storage_samples`, `UPDATE storage_samples SET account_id = gen_random_uuid()`, `UPDATE backends SET region = ''`,
			`SELECT sealed_secret FROM access_keys`, `DELETE FROM deleted_buckets`},
	} {
		for _, sql := range statements {
			refused(t, s.db, role, sql)
		}
	}
	pool := s.db.Pool(t, pg.RolePortal)
	query := ledger.Query{By: ledger.ByBucket}
	if none, err := storage.Sum(t.Context(), pool, query, s.at(5)); err != nil || len(none) != 0 {
		t.Errorf("without an account the portal sees %v, %v", none, err)
	}
	if err := tenancy.AsAccount(t.Context(), pool, alpha, func(tx pgx.Tx) error {
		got, err := storage.Sum(t.Context(), tx, query, s.at(5))
		if len(got) != 2 || got[0].Account != alpha || got[1].Account != alpha {
			t.Errorf("the portal sees %v", got)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	// Who may delete a bucket writes no history, and yet it is written.
	if _, err := s.db.Pool(t, pg.RoleGateway).Exec(t.Context(), `DELETE FROM buckets WHERE id = $1`, bucket1); err != nil {
		t.Fatal(err)
	}
	names, err := tenancy.BucketNames(t.Context(), s.owner)
	if err != nil || names[bucket1] != "one" {
		t.Errorf("the deleted bucket is called %q, %v", names[bucket1], err)
	}
}

func refused(t *testing.T, db *testenv.DB, role, sql string) {
	t.Helper()
	_, err := db.Pool(t, role).Exec(t.Context(), sql)
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != "42501" { // insufficient_privilege
		t.Errorf("%s: %s: %v", role, sql, err)
	}
}
