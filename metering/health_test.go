package metering_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
)

// What happens to the journal's file while the process lives is seen at the next sync,
// and so is that it is back.
func TestMeter_Unwritable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil, mend func(file string) error
	}{
		"moved":   {func(f string) error { return os.Rename(f, f+".elsewhere") }, func(f string) error { return os.Rename(f+".elsewhere", f) }},
		"deleted": {os.Remove, nil},
		"replaced": {func(f string) error {
			return errors.Join(os.Rename(f, f+".elsewhere"), os.WriteFile(f, []byte("another"), 0o600))
		}, func(f string) error { return os.Rename(f+".elsewhere", f) }},
		"gone with its folder": {func(f string) error { return os.RemoveAll(filepath.Dir(f)) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "journal")
			m := testenv.Must(metering.New(metering.Config{Pool: testenv.Postgres(t).Pool(t, pg.RoleGateway), Dir: dir, SyncInterval: 10 * time.Millisecond}))(t)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = m.Run(ctx) // it cannot delete what is gone
			}()
			defer func() { stop(); <-ended }()
			files := testenv.Must(filepath.Glob(filepath.Join(dir, "*.journal")))(t)
			if len(files) != 1 || m.Unwritable() != nil {
				t.Fatal(files, m.Unwritable())
			}
			if err := c.spoil(files[0]); err != nil {
				t.Fatal(err)
			}
			testenv.WaitFor(t, "the meter to notice", func() bool {
				err := m.Unwritable()
				return err != nil && strings.Contains(err.Error(), files[0])
			})
			if c.mend == nil {
				return
			}
			if err := c.mend(files[0]); err != nil {
				t.Fatal(err)
			}
			testenv.WaitFor(t, "the meter to be well again", func() bool { return m.Unwritable() == nil })
		})
	}
}

// A retired epoch is seen with the next flush, and only by the process whose it is. An
// ordinary end is none.
func TestMeter_Retired(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	pool, owner := db.Pool(t, pg.RoleGateway), db.Pool(t, pg.RoleOwner)
	open := func() *metering.Meter {
		return testenv.Must(metering.New(metering.Config{Pool: pool, Dir: t.TempDir()}))(t)
	}
	m, other := open(), open()
	flush := func() {
		t.Helper()
		if err := errors.Join(m.Flush(t.Context()), other.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	flush()
	if m.Retired() || m.Contested() || other.Retired() {
		t.Error("retired or contested from the start")
	}
	if _, err := owner.Exec(t.Context(), `UPDATE usage_nodes SET closed_at = now() WHERE epoch = $1`, m.Epoch()); err != nil {
		t.Fatal(err)
	}
	flush()
	if !m.Retired() || other.Retired() {
		t.Errorf("retired: %v, of another: %v", m.Retired(), other.Retired())
	}
	if _, err := owner.Exec(t.Context(), `UPDATE usage_nodes SET writer = gen_random_uuid() WHERE epoch = $1`, other.Epoch()); err != nil {
		t.Fatal(err)
	}
	flush()
	if !other.Contested() || m.Contested() {
		t.Errorf("contested: %v, of another: %v", other.Contested(), m.Contested())
	}
	third := open()
	if err := errors.Join(third.Flush(t.Context()), third.Close()); err != nil || third.Retired() {
		t.Errorf("an ordinary end: retired %v, %v", third.Retired(), err)
	}
}
