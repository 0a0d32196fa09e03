package keyring_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/keyring"
	"github.com/primecloudpro/primecloud/tenancy/tenancytest"
)

// fixture is a database whose keyring is known, with three keys and a backend.
type fixture struct {
	*tenancytest.Installation
	t    *testing.T
	file keyring.File
	keys []*tenancy.Key
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{Installation: tenancytest.New(t), t: t, file: keyring.File(filepath.Join(t.TempDir(), "keyring"))}
	if err := errors.Join(f.file.Create(f.Keyring), keyring.Check(t.Context(), f.Owner, f.Keyring)); err != nil {
		t.Fatal(err)
	}
	account := f.Account("acme")
	for range 3 {
		f.keys = append(f.keys, f.Key(account, tenancy.Key{}))
	}
	testenv.Must(f.Store.AddBackend(t.Context(), f.Owner, tenancy.Backend{Name: "minio", Endpoints: []string{"http://127.0.0.1:1"}, AccessKeyID: "id", SecretKey: "secret"}))(t)
	return f
}

func (f *fixture) read() *secret.Keyring {
	f.t.Helper()
	return testenv.Must(f.file.Read())(f.t)
}

// join makes a gateway that has that keyring.
func (f *fixture) join(node string, k *secret.Keyring) (*keyring.Member, error) {
	return keyring.Join(f.t.Context(), keyring.MemberConfig{Pool: f.DB.Pool(f.t, pg.RoleGateway), Keyring: k, Process: tenancy.NewID(), Role: "gateway", Node: node})
}

func (f *fixture) add() string {
	f.t.Helper()
	return testenv.Must(keyring.Add(f.t.Context(), f.Owner, f.file))(f.t)
}

func (f *fixture) rotate() (*keyring.Moved, error) {
	return keyring.Rotate(f.t.Context(), f.Owner, f.file, nil)
}

func (f *fixture) retire() error {
	_, err := keyring.Retire(f.t.Context(), f.Owner, f.file)
	return err
}

// refused fails unless err says that.
func refused(t *testing.T, err error, says ...string) {
	t.Helper()
	for _, want := range says {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// opens fails unless every secret is sealed with the key, and opens.
func (f *fixture) opens(with string) {
	f.t.Helper()
	k := f.read()
	if k.Seals() != with || k.Waiting() != nil {
		f.t.Errorf("the file seals with %s, want %s", k.Seals(), with)
	}
	if good, bad, err := (&tenancy.Store{Keyring: k.Retire()}).TrySecrets(f.t.Context(), f.Owner); good != 4 || bad != nil || err != nil {
		f.t.Errorf("%d secrets are sealed with %s: %v, %v", good, with, bad, err)
	}
}

// Wherever a rotation is cut off, everybody goes on, and calling it again ends it.
func TestRotate_cutOff(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*fixture, string){
		"before the file was written": func(f *fixture, id string) { f.Exec(`UPDATE keyring SET seals = $1`, id) },
		"before any secret was moved": func(f *fixture, id string) {
			ctx, stop := context.WithCancel(f.t.Context())
			f.Exec(`UPDATE keyring SET seals = $1`, id)
			f.Exec(`CREATE FUNCTION cut_off() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$cut off$$; END'`)
			f.Exec(`CREATE TRIGGER cut_off BEFORE UPDATE ON access_keys EXECUTE FUNCTION cut_off()`)
			_, err := keyring.Rotate(ctx, f.Owner, f.file, nil)
			refused(f.t, err, "cut off")
			f.Exec(`DROP TRIGGER cut_off ON access_keys`)
			stop()
		},
		"between two batches": func(f *fixture, _ string) {
			ctx, stop := context.WithCancel(f.t.Context())
			if _, err := keyring.Rotate(ctx, f.Owner, f.file, func(int, int) { stop() }); !errors.Is(err, context.Canceled) {
				f.t.Errorf("cut off: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := f.add()
			live := f.read()
			member := testenv.Must(f.join("a", live))(t)
			cut(f, id)
			if err := member.Report(t.Context()); err != nil || live.Seals() != id {
				t.Errorf("the node that runs: %v, it seals with %s", err, live.Seals())
			}
			k := f.read()
			if err := keyring.Check(t.Context(), f.Owner, k); err != nil || k.Seals() != id {
				t.Errorf("a command meanwhile: %v", err)
			}
			if _, bad, err := (&tenancy.Store{Keyring: live}).TrySecrets(t.Context(), f.Owner); bad != nil || err != nil {
				t.Errorf("what the node does not open: %v, %v", bad, err)
			}
			if f.read().Waiting() != nil {
				_, err := keyring.Add(t.Context(), f.Owner, f.file)
				refused(t, err, "has not come to its end")
			}
			if _, err := f.rotate(); err != nil {
				t.Error(err)
			}
			f.opens(id)
			if _, err := f.rotate(); !errors.Is(err, keyring.ErrNothing) {
				t.Errorf("when nothing is left: %v", err)
			}
		})
	}
}

// Every live process has to have the new key, whatever it is; who is silent does not, and
// is named.
func TestRotate_waits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.read()
	id := f.add()
	late := testenv.Must(f.join("late", before))(t)
	testenv.Must(f.join("early", f.read()))(t)
	f.Exec(`INSERT INTO usage_nodes (epoch, node, flushed_at) VALUES (gen_random_uuid(), 'old', now())`)
	_, err := f.rotate()
	refused(t, err, "key "+id+" cannot seal yet", "gateway on late", "gateway on old (a version that does not say")
	if strings.Contains(err.Error(), "early") {
		t.Error(err)
	}
	if now := f.read(); now.Seals() != before.Seals() || now.Waiting()[0] != id {
		t.Error("the file was changed")
	}
	refused(t, f.retire(), "a new key waits")
	f.Exec(`UPDATE usage_nodes SET closed_at = now()`)
	_, err = f.rotate()
	refused(t, err, "since gateway on late would open")
	f.Exec(`UPDATE keyring_holders SET reported_at = now() - interval '61 seconds' WHERE node = 'late'`)
	done := testenv.Must(f.rotate())(t)
	if len(done.Silent) != 1 || !strings.Contains(done.Silent[0], "gateway on late (silent since 2") {
		t.Errorf("silent: %q", done.Silent)
	}
	f.opens(id)
	// It comes back, and learns that it must not go on.
	if err := late.Report(t.Context()); !errors.Is(err, keyring.ErrWrong) || !errors.Is(late.Problem(), keyring.ErrWrong) {
		t.Errorf("the late one: %v", err)
	}
	refused(t, late.Problem(), "lacks the key "+id)
	refused(t, f.retire(), "gateway on early, gateway on late would seal with a key that is to go")
	if _, err := f.join("later", before); !errors.Is(err, keyring.ErrWrong) {
		t.Errorf("one that starts with the keyring of before: %v", err)
	}
	for _, h := range testenv.Must(keyring.Holders(t.Context(), f.Owner))(t) {
		if h.Node == "later" {
			t.Error("who was refused is there")
		}
	}
}

// A process that starts while the key changes either keeps it from changing, or is refused.
func TestJoin_whileTheKeyChanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.read()
	id := f.add()
	joined := make(chan error, 1)
	if err := pg.InTx(t.Context(), f.Owner, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SELECT FROM keyring FOR UPDATE`); err != nil {
			return err
		}
		go func() {
			_, err := f.join("new", before)
			joined <- err
		}()
		testenv.WaitFor(t, "the process to wait", func() bool {
			var waits bool
			err := f.DB.Pool(t, "").QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%report_keyring%')`).Scan(&waits)
			return err == nil && waits
		})
		_, err := tx.Exec(t.Context(), `UPDATE keyring SET seals = $1`, id)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-joined; !errors.Is(err, keyring.ErrWrong) {
		t.Errorf("it joined without the key that seals: %v", err)
	}
}

// A database that was restored from before a rotation: commands stop, and rotate mends it.
func TestCheck_restoredDatabase(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Exec(`CREATE TABLE copies AS SELECT id, sealed_secret, binding FROM access_keys`)
	old := f.read().Seals()
	id := f.add()
	testenv.Must(f.rotate())(t)
	f.Exec(`UPDATE access_keys k SET sealed_secret = c.sealed_secret, binding = c.binding FROM copies c WHERE c.id = k.id`)
	f.Exec(`UPDATE keyring SET seals = $1`, old)
	err := keyring.Check(t.Context(), f.Owner, f.read())
	refused(t, err, "seals with the key "+id, "that "+old+" seals", "secret rotate")
	refused(t, f.retire(), "has not come to its end")
	testenv.Must(f.rotate())(t)
	f.opens(id)
	if err := keyring.Check(t.Context(), f.Owner, f.read()); err != nil {
		t.Error(err)
	}
}

// An older key stays while a secret needs it, and the row is named as people know it.
func TestRetire_needed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bad := f.keys[1]
	f.Exec(`UPDATE access_keys SET prefix = 'changed/' WHERE id = $1`, bad.ID)
	f.add()
	done, err := f.rotate()
	refused(t, err, "key "+bad.KeyID+" of account acme")
	if done == nil || done.Moved != 3 || len(done.Skipped) != 1 {
		t.Errorf("%+v", done)
	}
	before := testenv.Must(os.ReadFile(string(f.file)))(t)
	refused(t, f.retire(), "key "+bad.KeyID+" of account acme")
	if after := testenv.Must(os.ReadFile(string(f.file)))(t); !slices.Equal(before, after) {
		t.Error("the file was changed")
	}
	// Put back, it is moved with what was sealed with the older key since.
	f.Exec(`UPDATE access_keys SET prefix = '' WHERE id = $1`, bad.ID)
	if moved, err := keyring.Retire(t.Context(), f.Owner, f.file); moved != 1 || err != nil {
		t.Errorf("moved %d: %v", moved, err)
	}
	f.opens(f.read().Seals())
	if ids := f.read().IDs(); len(ids) != 3 { // a key, and all that attests
		t.Errorf("left: %v", ids)
	}
}

// A public keyring is checked as the whole one is, and cannot rotate.
func TestCheck_public(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := keyring.Check(t.Context(), f.Owner, f.read().Public()); err != nil {
		t.Error(err)
	}
	f.Exec(`DELETE FROM keyring`)
	other := testenv.Must(secret.Generate())(t)
	refused(t, keyring.Check(t.Context(), f.Owner, other.Public()), "it opens none of the 4 secrets")
	if _, err := f.join("a", f.read()); !errors.Is(err, keyring.ErrWrong) {
		t.Errorf("a node of a database that knows no keyring: %v", err)
	}
	if err := keyring.Check(t.Context(), f.Owner, f.read().Public()); err != nil {
		t.Error(err)
	}
	public := keyring.File(filepath.Join(t.TempDir(), "public"))
	if err := public.Create(f.read().Public()); err != nil {
		t.Fatal(err)
	}
	_, err := keyring.Add(t.Context(), f.Owner, public)
	refused(t, err, string(public), "public keys only")
	_, err = keyring.Rotate(t.Context(), f.Owner, keyring.File("/nowhere/keyring"), nil)
	refused(t, err, `the keyring "/nowhere/keyring" cannot be read`, "secret generate")
}
