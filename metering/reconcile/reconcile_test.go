package reconcile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/metering/reconcile"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

var (
	first   = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	account = tenancy.ID{0xa}
	other   = tenancy.ID{0xb}
	bucket  = tenancy.ID{1}
	key     = tenancy.ID{7}
)

// books is a ledger and a log of one hour, the same to begin with: three
// requests of an account, one that outlives the hour, and one of another.
type books struct {
	*testing.T
	db    *testenv.DB
	owner *pgxpool.Pool
	file  string
	cfg   reconcile.Config
}

// exec is of somebody who switches off the triggers that keep the ledger.
func (b *books) exec(sql string, args ...any) {
	b.Helper()
	if err := pgx.BeginFunc(b.Context(), b.db.Pool(b, ""), func(tx pgx.Tx) error {
		_, err := tx.Exec(b.Context(), `SET LOCAL session_replication_role = replica`)
		if err == nil {
			_, err = tx.Exec(b.Context(), sql, args...)
		}
		return err
	}); err != nil {
		b.Fatalf("%s: %v", sql, err)
	}
}

func (b *books) append(text string) {
	b.Helper()
	f, err := os.OpenFile(b.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		b.Fatal(err)
	}
}

// to makes what f appends go to another file.
func (b *books) to(file string, f func()) {
	b.Helper()
	was := b.file
	b.file = file
	f()
	b.file = was
}

// request is counted, and has its line.
func (b *books) request(of tenancy.ID, at time.Time, parts ...usage.Delta) {
	b.Helper()
	r := accesslog.Record{Time: at, Status: 200, Operation: "PutObject"}
	r.SetCounted(usage.Key{Account: of, Bucket: bucket, AccessKey: key, Class: parts[0].Class}, parts)
	b.append(string(r.AppendLine(nil)))
	for _, p := range parts {
		b.exec(`INSERT INTO usage_readings AS r SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $8, $9
			ON CONFLICT (epoch, account_id, bucket_id, key_id, class, hour) DO UPDATE SET requests = r.requests + $7, ingress_bytes = r.ingress_bytes + $8, egress_bytes = r.egress_bytes + $9`,
			tenancy.ID{9}, of, bucket, key, p.Class.String(), p.Hour, p.Requests, p.Ingress, p.Egress)
	}
}

func newBooks(t *testing.T) *books {
	t.Helper()
	b := &books{T: t, db: testenv.Postgres(t)}
	b.owner = b.db.Pool(t, pg.RoleOwner)
	b.file = filepath.Join(t.TempDir(), "access.jsonl")
	b.cfg = reconcile.Config{Pool: b.owner, Account: account, From: first, To: first.Add(2 * time.Hour), Logs: []string{b.file},
		Now: func() time.Time { return first.Add(90 * time.Minute) }}
	b.exec(`INSERT INTO usage_nodes (epoch, node, flushed_at, closed_at) VALUES ($1, 'n', $2, $2)`, tenancy.ID{9}, first.Add(time.Hour))
	b.request(account, first.Add(time.Minute), usage.Delta{Class: usage.ClassA, Hour: first, Requests: 1, Ingress: 100})
	b.request(account, first.Add(2*time.Minute), usage.Delta{Class: usage.ClassA, Hour: first, Requests: 1, Ingress: 50, Egress: 3})
	b.request(account, first.Add(59*time.Minute), usage.Delta{Class: usage.ClassB, Hour: first, Egress: 1000},
		usage.Delta{Class: usage.ClassB, Hour: first.Add(time.Hour), Requests: 1, Egress: 10})
	b.request(other, first.Add(time.Minute), usage.Delta{Class: usage.ClassA, Hour: first, Requests: 1, Ingress: 1e6})
	return b
}

func (b *books) run() *reconcile.Report {
	b.Helper()
	r, err := reconcile.Run(b.Context(), b.cfg)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// alive is a node that has written what it counted before a moment.
func (b *books) alive(flushed time.Time) {
	b.exec(`INSERT INTO usage_nodes (epoch, node, flushed_at) VALUES (gen_random_uuid(), 'live', $1)`, flushed)
}

// dropLine removes the n-th line from the log.
func (b *books) changeLine(n int, change func(string) string) {
	b.Helper()
	text, err := os.ReadFile(b.file)
	if err != nil {
		b.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	lines[n] = change(lines[n])
	if err := os.WriteFile(b.file, []byte(strings.Join(lines, "")), 0o600); err != nil {
		b.Fatal(err)
	}
}

func gone(string) string { return "" }

type figures = reconcile.Figures

func TestRun_Log(t *testing.T) {
	t.Parallel()
	marker := func(at time.Time, lines, ingress int64) string {
		text, err := json.Marshal(accesslog.Dropped{Time: at, Node: "n", Lines: lines, Ingress: ingress})
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + "\n"
	}
	for _, tc := range []struct {
		name        string
		change      func(*books)
		differs     []figures // by cell
		verdict     reconcile.Verdict
		unexplained figures
		cause       string
	}{
		{name: "the same", change: func(*books) {}},
		{"a deleted row of the ledger", func(b *books) { b.exec(`DELETE FROM usage_readings WHERE class = 'A' AND account_id = $1`, account) },
			[]figures{{-2, -150, -3}}, reconcile.Unexplained, figures{2, 150, 3}, "the ledger lacks"},
		{"a row that says too much", func(b *books) { b.exec(`UPDATE usage_readings SET egress_bytes = egress_bytes + 5 WHERE class = 'B'`) },
			[]figures{{0, 0, 5}, {0, 0, 5}}, reconcile.Unexplained, figures{0, 0, 10}, "cut by the kill"},
		{"a deleted line", func(b *books) { b.changeLine(0, gone) },
			[]figures{{1, 100, 0}}, reconcile.Unexplained, figures{1, 100, 0}, "a line or a node's folder"},
		{"a damaged line", func(b *books) { b.changeLine(1, func(s string) string { return s[:40] + "\x00" + s[41:] }) },
			[]figures{{1, 50, 3}}, reconcile.Unexplained, figures{1, 50, 3}, ""},
		{"a changed line", func(b *books) {
			b.changeLine(0, func(s string) string { return strings.Replace(s, `"ingress_bytes":100`, `"ingress_bytes":900`, 1) })
		},
			[]figures{{0, -800, 0}}, reconcile.Unexplained, figures{0, 800, 0}, "the ledger lacks"},
		{"dropped lines", func(b *books) {
			b.changeLine(1, gone)
			b.append(marker(first.Add(3*time.Minute), 1, 50))
		}, []figures{{1, 50, 3}}, reconcile.Unexplained, figures{0, 0, 3}, "cut by the kill"},
		{"dropped lines, all of it", func(b *books) {
			b.changeLine(0, gone)
			b.append(marker(first.Add(3*time.Minute), 7, 5000))
		}, []figures{{1, 100, 0}}, reconcile.Possible, figures{}, "could not be written"},
		{"dropped long before", func(b *books) {
			b.changeLine(0, gone)
			b.append(marker(first.Add(-3*time.Hour), 7, 5000))
		}, []figures{{1, 100, 0}}, reconcile.Unexplained, figures{1, 100, 0}, "a line or"},
		// A node that lives has flushed at 10:58: the third request is later.
		{"not written yet", func(b *books) {
			b.alive(first.Add(58 * time.Minute))
			b.cfg.Now = func() time.Time { return first.Add(time.Hour) }
			b.exec(`DELETE FROM usage_readings WHERE class = 'B'`)
		}, []figures{{0, 0, -1000}, {-1, 0, -10}}, reconcile.Explained, figures{}, "not written by its node yet"},
		{"written long ago and gone", func(b *books) {
			b.alive(first.Add(58 * time.Minute))
			b.cfg.Now = func() time.Time { return first.Add(time.Hour) }
			b.exec(`DELETE FROM usage_readings WHERE class = 'A' AND account_id = $1`, account)
		}, []figures{{-2, -150, -3}}, reconcile.Unexplained, figures{2, 150, 3}, "the ledger lacks"},
		// So does one that has a full disk since it started: it has flushed nothing.
		{"under way, never flushed", func(b *books) {
			b.alive(time.Time{})
			b.changeLine(1, gone)
		}, []figures{{1, 50, 3}}, reconcile.Possible, figures{}, "the hour is not final"},
		// Usage is flushed apart from lines: with the end of the hour, they come.
		{"a line on its way", func(b *books) {
			b.alive(first.Add(time.Hour + time.Second))
			b.changeLine(1, gone)
		}, []figures{{1, 50, 3}}, reconcile.Possible, figures{}, "the hour is not final"},
		{"under way", func(b *books) {
			b.alive(first.Add(58 * time.Minute))
			b.changeLine(1, gone)
		}, []figures{{1, 50, 3}}, reconcile.Possible, figures{}, "the hour is not final"},
		// The hour is over and final, but for transfers that outlive it.
		{"over, and still moving", func(b *books) {
			b.alive(first.Add(119 * time.Minute))
			b.exec(`UPDATE usage_readings SET egress_bytes = egress_bytes + 5 WHERE class = 'B' AND hour = $1`, first)
		}, []figures{{0, 0, 5}}, reconcile.Possible, figures{}, "still under way"},
		{"over, and a request is missing", func(b *books) {
			b.alive(first.Add(119 * time.Minute))
			b.changeLine(0, gone)
		}, []figures{{1, 100, 0}}, reconcile.Unexplained, figures{1, 100, 0}, "a line or"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			tc.change(b)
			r := b.run()
			var differs []figures
			for _, c := range r.Cells {
				differs = append(differs, c.Difference)
				if c.Verdict != tc.verdict || !strings.Contains(c.Cause, tc.cause) {
					t.Errorf("%s: %s", c.Verdict, c.Cause)
				}
			}
			if diff := cmp.Diff(tc.differs, differs); diff != "" {
				t.Error(diff)
			}
			if r.Unexplained != tc.unexplained {
				t.Errorf("unexplained %+v, want %+v", r.Unexplained, tc.unexplained)
			}
			if err := r.Over(reconcile.Tolerance{}); (err != nil) != (tc.unexplained != figures{}) {
				t.Errorf("verdict: %v", err)
			}
			if damaged := tc.name == "a damaged line"; damaged != (len(r.Log.Damaged) == 1) {
				t.Errorf("damaged: %q", r.Log.Damaged)
			} else if damaged && r.Over(reconcile.Tolerance{Bytes: 1e9, Percent: 100}) == nil {
				t.Error("a damaged line is tolerated")
			}
		})
	}
}

// Lines of requests that nobody proved may be left out, or go with their files:
// the sums have every one, none is counted twice, and what is in neither is found.
func TestRun_unproven(t *testing.T) {
	t.Parallel()
	epoch := tenancy.NewID()
	file := func(b *books, kind string) string {
		hour := map[string]string{"unproven": "10", "sums": "10", "later sums": "11"}[kind] // files are read in their order
		f := filepath.Join(filepath.Dir(b.file), fmt.Sprintf("%s-20260301%s-%s-000001-n.jsonl", strings.TrimPrefix(kind, "later "), hour, epoch))
		if !slices.Contains(b.cfg.Logs, f) {
			b.cfg.Logs = append(b.cfg.Logs, f)
		}
		return f
	}
	counted := usage.Delta{Class: usage.ClassB, Hour: first, Requests: 1, Egress: 40}
	// n requests to a public bucket are in the ledger, from a second to the next.
	count := func(b *books, n int) {
		b.exec(`INSERT INTO usage_readings AS r SELECT $1, $2, $3, $4, $5, $6, $7, 0, $8, 0, $8`,
			tenancy.ID{9}, account, bucket, tenancy.ID{}, "B", first, n, n*40)
	}
	lines := func(b *books, from, to int) {
		b.to(file(b, "unproven"), func() {
			for i := from; i < to; i++ {
				r := accesslog.Record{Time: first.Add(time.Duration(i) * time.Second), Elapsed: time.Millisecond, Status: 200, Operation: "GetObject", Auth: "anonymous"}
				r.SetCounted(usage.Key{Account: account, Bucket: bucket, Class: usage.ClassB}, []usage.Delta{counted})
				b.append(string(r.AppendLine(nil)))
			}
		})
	}
	sumTo := func(b *books, kind string, until time.Duration, n, leftOut int64) {
		b.to(file(b, kind), func() {
			s := accesslog.Sum{Time: first.Add(until), Node: "n", Lines: n, LeftOut: leftOut, AccountID: account, BucketID: bucket, Delta: counted}
			s.Requests, s.Egress = n, n*40
			text, err := json.Marshal(&s)
			if err != nil {
				b.Fatal(err)
			}
			b.append(string(text) + "\n")
		})
	}
	sum := func(b *books, until time.Duration, n, leftOut int64) { sumTo(b, "sums", until, n, leftOut) }
	for _, tc := range []struct {
		name              string
		change            func(*books)
		unproven, leftOut int64
		unexplained       figures
	}{
		{"each has a line, and is in a sum", func(b *books) { count(b, 3); lines(b, 0, 3); sum(b, 5*time.Second, 3, 0) }, 3, 0, figures{}},
		{"some are left out", func(b *books) {
			count(b, 100)
			lines(b, 0, 3)
			sum(b, 5*time.Second, 40, 37)
			sum(b, 10*time.Second, 60, 60)
		}, 100, 97, figures{}},
		{"their file has gone", func(b *books) { count(b, 100); sum(b, 5*time.Second, 100, 90) }, 100, 90, figures{}},
		{"killed after the last sum", func(b *books) { count(b, 8); lines(b, 0, 8); sum(b, 5500*time.Millisecond, 6, 0) }, 6, 0, figures{}},
		{"killed before there was one", func(b *books) { count(b, 3); lines(b, 0, 3) }, 0, 0, figures{}},
		{"lines that are read before their sums", func(b *books) {
			count(b, 8)
			lines(b, 0, 8)
			sumTo(b, "later sums", 5500*time.Millisecond, 6, 0)
		}, 6, 0, figures{}},
		{"what was left out is in no sum", func(b *books) { count(b, 100); lines(b, 0, 3); sum(b, 5*time.Second, 99, 96) }, 99, 96, figures{Requests: 1, Egress: 40}},
		{"a sum says too much", func(b *books) { count(b, 3); lines(b, 0, 3); sum(b, 5*time.Second, 4, 1) }, 4, 1, figures{Requests: 1, Egress: 40}},
		{"of another account", func(b *books) { b.cfg.Account = other; count(b, 3); sum(b, 5*time.Second, 3, 0) }, 0, 0, figures{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			tc.change(b)
			r := b.run()
			if r.Unexplained != tc.unexplained || len(r.Cells) > 0 != (tc.unexplained != figures{}) {
				t.Errorf("unexplained %+v, want %+v: %+v", r.Unexplained, tc.unexplained, r.Cells)
			}
			if r.Log.Unproven != tc.unproven || r.Log.LeftOut != tc.leftOut {
				t.Errorf("%+v", r.Log)
			}
		})
	}
}

// Nodes go on while the books are read: whatever one does before any one of the
// statements, nothing of it is unexplained.
func TestRun_whileNodesWork(t *testing.T) {
	t.Parallel()
	present := first.Add(time.Hour)
	request := func(b *books, at time.Time) {
		b.request(account, at, usage.Delta{Class: usage.ClassA, Hour: present, Requests: 1, Ingress: 7})
	}
	for _, tc := range []struct {
		name          string
		before, event func(*books)
	}{
		{"one flushes", func(b *books) { b.alive(present.Add(29 * time.Minute)) }, func(b *books) {
			request(b, present.Add(30*time.Minute))
			b.exec(`UPDATE usage_nodes SET flushed_at = $1 WHERE closed_at IS NULL`, present.Add(31*time.Minute))
		}},
		{"one passes the end of the window", func(b *books) { b.alive(present.Add(59 * time.Minute)) }, func(b *books) {
			request(b, present.Add(59*time.Minute))
			b.exec(`UPDATE usage_nodes SET flushed_at = $1 WHERE closed_at IS NULL`, present.Add(3*time.Hour))
		}},
		{"one drains", func(b *books) { b.alive(present.Add(29 * time.Minute)) }, func(b *books) {
			request(b, present.Add(30*time.Minute))
			b.exec(`UPDATE usage_nodes SET flushed_at = $1, closed_at = $1 WHERE closed_at IS NULL`, present.Add(31*time.Minute))
		}},
		{"one starts", func(*books) {}, func(b *books) {
			b.alive(present.Add(30 * time.Minute))
			request(b, present.Add(30*time.Minute))
		}},
		{"one starts, and drains", func(*books) {}, func(b *books) {
			request(b, present.Add(30*time.Minute))
			b.exec(`INSERT INTO usage_nodes (epoch, node, flushed_at, closed_at) VALUES (gen_random_uuid(), 'brief', $1, $1)`, present.Add(31*time.Minute))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for when, last := 1, false; !last; when++ {
				b := newBooks(t)
				tc.before(b)
				statements := 0
				b.cfg.Pool = b.db.Interleaved(t, pg.RoleOwner, func() {
					if statements++; statements == when {
						tc.event(b)
					}
				})
				r := b.run()
				if r.Unexplained != (figures{}) {
					t.Errorf("before statement %d: unexplained %+v: %+v", when, r.Unexplained, r.Cells)
				}
				if last = statements < when; last && when < 3 {
					t.Errorf("%d statements were made: the test shows nothing", statements)
				}
			}
		})
	}
}

// A killed node's last line is torn: it is named, and damages nothing else.
func TestRun_Torn(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.append(`{"time":"2026-03-01T10`)
	if r := b.run(); len(r.Log.Torn) != 1 || len(r.Log.Damaged) != 0 || r.Over(reconcile.Tolerance{}) != nil || r.Log.Lines != 4 {
		t.Errorf("%+v", r.Log)
	}
}

func TestReport_Over(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.changeLine(0, gone) // 100 bytes of the 1163 of two hours
	r := b.run()
	for _, tc := range []struct {
		bytes   int64
		percent float64
		over    bool
	}{{0, 0, true}, {99, 0, true}, {100, 0, false}, {0, 8, true}, {0, 50, false}} {
		if err := r.Over(reconcile.Tolerance{Bytes: tc.bytes, Percent: tc.percent}); (err != nil) != tc.over {
			t.Errorf("%d bytes, %v %%: %v", tc.bytes, tc.percent, err)
		}
	}
}

func TestRun_Hours(t *testing.T) {
	t.Parallel()
	for _, to := range []time.Time{first, first.Add(90 * time.Minute), {}} {
		if _, err := reconcile.Run(t.Context(), reconcile.Config{From: first, To: to}); err == nil {
			t.Errorf("to %s was accepted", to)
		}
	}
}

// What a backend holds, against samples, ledger and log.
func TestRun_Buckets(t *testing.T) {
	t.Parallel()
	keyring, err := secret.Generate()
	if err != nil {
		t.Fatal(err)
	}
	store, m := &tenancy.Store{Keyring: keyring}, testenv.MinIO(t)
	hour := time.Now().UTC().Truncate(time.Hour)
	type world struct {
		*books
		client *minio.Client
		bucket *tenancy.Bucket
		sample func()
	}
	newWorld := func(t *testing.T) *world {
		t.Helper()
		db := testenv.Postgres(t)
		w := &world{books: &books{T: t, db: db, owner: db.Pool(t, pg.RoleOwner), file: filepath.Join(t.TempDir(), "access.jsonl")}}
		w.append("")
		backend, err := store.AddBackend(t.Context(), w.owner, tenancy.Backend{Name: "minio", Endpoints: []string{m.Endpoint}, AccessKeyID: m.AccessKey, SecretKey: m.SecretKey})
		if err != nil {
			t.Fatal(err)
		}
		if w.client, err = backend.Client(); err != nil {
			t.Fatal(err)
		}
		a, err := tenancy.CreateAccount(t.Context(), w.owner, "acme", "", tenancy.Active)
		if err != nil {
			t.Fatal(err)
		}
		if w.bucket, err = store.CreateBucket(t.Context(), w.owner, a.ID, "backups"); err != nil {
			t.Fatal(err)
		}
		w.exec(`UPDATE buckets SET created_at = $1`, hour.Add(-time.Hour)) // what was there before it is none of its content
		sampler, err := storage.New(storage.Config{Pool: w.owner, Store: store})
		if err != nil {
			t.Fatal(err)
		}
		w.sample = func() {
			if _, err := sampler.Sample(t.Context(), w.bucket); err != nil {
				t.Fatal(err)
			}
		}
		w.cfg = reconcile.Config{Pool: w.owner, Sampler: sampler, Account: a.ID, From: hour.Add(-time.Hour), To: hour.Add(2 * time.Hour), Logs: []string{w.file}}
		return w
	}
	putAt := func(w *world, name string, size int, at time.Time) {
		t.Helper()
		options := minio.PutObjectOptions{Internal: minio.AdvancedPutOptions{SourceMTime: at}}
		if _, err := w.client.PutObject(t.Context(), w.bucket.BackendName, name, bytes.NewReader(make([]byte, size)), int64(size), options); err != nil {
			t.Fatal(err)
		}
	}
	put := func(w *world, name string, size int) {
		t.Helper()
		putAt(w, name, size, time.Time{})
	}
	// counted is what the gateway would have written of a request.
	counted := func(w *world, operation string, class usage.Class, ingress int64) {
		t.Helper()
		r := accesslog.Record{Time: time.Now(), Status: 200, Operation: operation, Key: accesslog.Text("key")}
		c := usage.Delta{Class: class, Hour: hour, Requests: 1, Ingress: ingress}
		r.SetCounted(usage.Key{Account: w.bucket.AccountID, Bucket: w.bucket.ID, Class: class}, []usage.Delta{c})
		w.append(string(r.AppendLine(nil)))
		w.exec(`INSERT INTO usage_readings AS r SELECT $1, $2, $3, $4, $5, $6, 1, $7, 0, $7, 0
			ON CONFLICT (epoch, account_id, bucket_id, key_id, class, hour) DO UPDATE SET requests = r.requests + 1, ingress_bytes = r.ingress_bytes + $7`,
			tenancy.ID{9}, w.bucket.AccountID, w.bucket.ID, tenancy.ID{}, class.String(), hour, ingress)
	}
	for _, tc := range []struct {
		name            string
		fill            func(*world)
		noLog           bool
		growth, content reconcile.Comparison
		unexplained     int64 // bytes, of both
	}{
		{"the same", func(w *world) {
			put(w, "a", 1000)
			counted(w, "PutObject", usage.ClassA, 1000)
			w.sample()
		}, false, reconcile.Comparison{Verdict: reconcile.Exact}, reconcile.Comparison{Verdict: reconcile.Exact}, 0},
		{"a document beside, told by the log", func(w *world) {
			counted(w, "PutBucketTagging", usage.ClassA, 77)
			w.sample()
		}, false, reconcile.Comparison{Verdict: reconcile.Exact}, reconcile.Comparison{Verdict: reconcile.Exact}, 0},
		{"a document beside, without a log", func(w *world) {
			counted(w, "PutBucketTagging", usage.ClassA, 77)
			w.sample()
		}, true, reconcile.Comparison{Verdict: reconcile.Exact}, reconcile.Comparison{Difference: -77, Verdict: reconcile.Possible, Cause: "documents and uploads that failed"}, 0},
		{"written since the sample", func(w *world) {
			w.sample()
			put(w, "a", 10)
			counted(w, "PutObject", usage.ClassA, 10)
		}, false, reconcile.Comparison{Difference: 10, Verdict: reconcile.Possible, Cause: "requests since"}, reconcile.Comparison{Verdict: reconcile.Exact}, 0},
		{"past the gateway", func(w *world) {
			w.sample()
			put(w, "a", 10)
		}, false, reconcile.Comparison{Difference: 10, Verdict: reconcile.Unexplained, Cause: "past the gateway"}, reconcile.Comparison{Difference: 10, Verdict: reconcile.Unexplained, Cause: "without an upload"}, 20},
		// A node lives and was here some time ago: what came since may be in its
		// buffers. It is possible until its hour is final, and then it is not.
		{"in an hour that is not final", func(w *world) {
			w.alive(hour)
			w.sample()
			put(w, "a", 10)
		}, false, reconcile.Comparison{Difference: 10, Verdict: reconcile.Possible, Cause: "the hour is not final"}, reconcile.Comparison{Difference: 10, Verdict: reconcile.Possible, Cause: "the hour is not final"}, 0},
		{"in an hour that is not final, without a log", func(w *world) {
			w.alive(hour)
			w.sample()
			put(w, "a", 10)
		}, true, reconcile.Comparison{Difference: 10, Verdict: reconcile.Possible, Cause: "the hour is not final"}, reconcile.Comparison{Difference: 10, Verdict: reconcile.Possible, Cause: "the hour is not final"}, 0},
		{"while a node has never flushed", func(w *world) {
			w.alive(time.Time{})
			w.sample()
			put(w, "a", 10)
		}, false, reconcile.Comparison{Difference: 10, Verdict: reconcile.Possible, Cause: "the hour is not final"}, reconcile.Comparison{Difference: 10, Verdict: reconcile.Possible, Cause: "the hour is not final"}, 0},
		{"just before the end of the window, of which a line may come", func(w *world) {
			w.alive(hour.Add(2*time.Hour + time.Second))
			w.sample()
			putAt(w, "a", 10, hour.Add(2*time.Hour-time.Second))
		}, false, reconcile.Comparison{Difference: 10, Verdict: reconcile.Possible, Cause: "the hour is not final"}, reconcile.Comparison{Difference: 10, Verdict: reconcile.Possible, Cause: "the hour is not final"}, 0},
		{"in an hour that is final", func(w *world) {
			w.alive(hour.Add(2*time.Hour + time.Minute))
			w.sample()
			put(w, "a", 10)
		}, false, reconcile.Comparison{Difference: 10, Verdict: reconcile.Unexplained, Cause: "past the gateway"}, reconcile.Comparison{Difference: 10, Verdict: reconcile.Unexplained, Cause: "without an upload"}, 20},
		{"in an hour that is final, and in one that is not", func(w *world) {
			w.alive(hour.Add(time.Minute))
			w.sample()
			putAt(w, "a", 10, hour.Add(-time.Minute))
			putAt(w, "b", 7, hour.Add(30*time.Second))
		}, false, reconcile.Comparison{Difference: 17, Verdict: reconcile.Unexplained, Cause: "past the gateway"}, reconcile.Comparison{Difference: 17, Verdict: reconcile.Unexplained, Cause: "without an upload: somebody writes to the backend past the gateway, or the record of the upload is missing (10 bytes"}, 20},
		{"in an hour that is final, while more was uploaded and deleted in one that is not", func(w *world) {
			w.alive(hour.Add(time.Minute))
			putAt(w, "a", 10, hour.Add(-time.Minute))
			counted(w, "PutObject", usage.ClassA, 100)
			counted(w, "DeleteObject", usage.ClassFree, 0)
			w.sample()
		}, false, reconcile.Comparison{Verdict: reconcile.Exact}, reconcile.Comparison{Difference: -90, Verdict: reconcile.Unexplained, Cause: "(10 bytes"}, 10},
		{"a copy", func(w *world) {
			put(w, "a", 10)
			counted(w, "PutObject", usage.ClassA, 10)
			put(w, "copy", 10)
			counted(w, "CopyObject", usage.ClassA, 0)
			w.sample()
		}, false, reconcile.Comparison{Verdict: reconcile.Exact}, reconcile.Comparison{Difference: 10, Verdict: reconcile.Possible, Cause: "copies on the server"}, 0},
		{"a multipart upload of the window", func(w *world) {
			counted(w, "CompleteMultipartUpload", usage.ClassA, 300) // of another node's log
			counted(w, "CreateMultipartUpload", usage.ClassA, 0)
			w.sample()
			put(w, "smuggled", 10)
		}, false, reconcile.Comparison{Difference: 10, Verdict: reconcile.Possible, Cause: "requests since"}, reconcile.Comparison{Difference: 10, Verdict: reconcile.Unexplained, Cause: "without an upload"}, 10},
		{"a multipart upload of before the window", func(w *world) {
			counted(w, "CompleteMultipartUpload", usage.ClassA, 300)
			put(w, "key", 10)
			w.sample()
		}, false, reconcile.Comparison{Verdict: reconcile.Exact}, reconcile.Comparison{Difference: 10, Verdict: reconcile.Possible, Cause: "begun before the window"}, 0},
		{"deleted", func(w *world) {
			counted(w, "PutObject", usage.ClassA, 10)
			counted(w, "DeleteObject", usage.ClassFree, 0)
			w.sample()
		}, false, reconcile.Comparison{Verdict: reconcile.Exact}, reconcile.Comparison{Difference: -10, Verdict: reconcile.Possible, Cause: "1 requests in the window"}, 0},
		{"expired", func(w *world) {
			put(w, "a", 10)
			w.sample()
			if err := w.client.RemoveObject(t.Context(), w.bucket.BackendName, "a", minio.RemoveObjectOptions{}); err != nil {
				t.Fatal(err)
			}
		}, false, reconcile.Comparison{Difference: -10, Verdict: reconcile.Possible, Cause: "lifecycle"}, reconcile.Comparison{Verdict: reconcile.Exact}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.fill(w)
			if tc.noLog {
				w.cfg.Logs = nil
			}
			r := w.run()
			if len(r.Buckets) != 1 || len(r.Cells) != 0 {
				t.Fatalf("%+v", r)
			}
			for i, want := range []reconcile.Comparison{tc.growth, tc.content} {
				got := []reconcile.Comparison{r.Buckets[0].Growth, r.Buckets[0].Content}[i]
				if got.Difference != want.Difference || got.Verdict != want.Verdict || !strings.Contains(got.Cause, want.Cause) || (got.Cause == "") != (want.Cause == "") {
					t.Errorf("got %+v, want %+v", got, want)
				}
			}
			if err := r.Over(reconcile.Tolerance{}); (err != nil) != (tc.unexplained > 0) || r.Unexplained != (figures{Ingress: tc.unexplained}) {
				t.Errorf("verdict: %v, unexplained %+v", err, r.Unexplained)
			}
		})
	}
	// The last request before a sample has not been written yet: it took away
	// what the listing has just seen.
	t.Run("sampled meanwhile", func(t *testing.T) {
		t.Parallel()
		for when, last := 1, false; !last; when++ {
			w := newWorld(t)
			w.alive(hour.Add(time.Minute))
			putAt(w, "a", 10, hour.Add(-time.Minute))
			w.sample()
			statements := 0
			w.cfg.Pool = w.db.Interleaved(t, pg.RoleOwner, func() {
				if statements++; statements != when {
					return
				}
				if err := w.client.RemoveObject(t.Context(), w.bucket.BackendName, "a", minio.RemoveObjectOptions{}); err != nil {
					t.Fatal(err)
				}
				w.sample()
			})
			if r := w.run(); r.Buckets[0].Growth.Verdict == reconcile.Unexplained {
				t.Errorf("before statement %d: %+v", when, r.Buckets[0].Growth)
			}
			last = statements < when
		}
	})
	t.Run("a bucket that cannot be listed", func(t *testing.T) {
		t.Parallel()
		b := newBooks(t)
		sampler, err := storage.New(storage.Config{Pool: b.owner, Store: store})
		if err != nil {
			t.Fatal(err)
		}
		backend, err := store.AddBackend(t.Context(), b.owner, tenancy.Backend{Name: "minio", Endpoints: []string{m.Endpoint}, AccessKeyID: m.AccessKey, SecretKey: m.SecretKey})
		if err != nil {
			t.Fatal(err)
		}
		a, err := tenancy.CreateAccount(t.Context(), b.owner, "acme", "", tenancy.Active)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tenancy.ImportBucket(t.Context(), b.owner, a.ID, "lost", backend.ID, "is-not-there", false); err != nil {
			t.Fatal(err)
		}
		b.cfg.Account, b.cfg.Sampler = a.ID, sampler
		if r := b.run(); len(r.Buckets) != 1 || !strings.Contains(r.Buckets[0].Error, "no such bucket") || r.Over(reconcile.Tolerance{}) == nil {
			t.Errorf("%+v", r.Buckets)
		}
	})
}
