package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/metering/usagereport"
	"github.com/primecloudpro/primecloud/tenancy"
)

// exitCode runs a command as a process of its own.
func (in *installation) exitCode(args ...string) (int, string) {
	in.t.Helper()
	cmd := exec.CommandContext(in.t.Context(), os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), "PRIMECLOUD_CHILD_COMMAND=1"), in.env...)
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		in.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// A worker seals what earlier hours have; the command says whether it is still
// what was sealed, also after the keyring was rotated.
func TestUsageVerify(t *testing.T) {
	t.Parallel()
	in := install(t)
	if code, out := in.exitCode("usage", "verify"); code != 0 {
		t.Errorf("nothing is sealed: exit code %d: %s", code, out)
	}
	began := time.Now().UTC().Truncate(time.Hour).Add(-4 * time.Hour)
	meter, err := metering.New(metering.Config{Pool: in.db.Pool(t, pg.RoleGateway), Dir: t.TempDir(), Now: func() time.Time { return began }})
	if err != nil {
		t.Fatal(err)
	}
	var tally metering.Tally
	meter.Begin(&tally, usage.Key{Account: tenancy.ID{1}, Class: usage.ClassA})
	tally.Request()
	tally.Egress(100)
	tally.End()
	if err := errors.Join(meter.Flush(t.Context()), meter.Close()); err != nil {
		t.Fatal(err)
	}
	in.serveProcess()
	var v usagereport.Verification
	testenv.WaitFor(t, "the hours to be sealed", func() bool {
		v = decode[usagereport.Verification](t, in.must("usage", "verify", "--json"))
		// Whatever the worker has done by now, the head is the last that was verified.
		if head := began.Add(time.Duration(v.Hours-1) * time.Hour); !v.OK || (v.Head == nil) != (v.Hours == 0) || v.Head != nil && !v.Head.Hour.Equal(head) {
			t.Fatalf("%+v, head %+v", v, v.Head)
		}
		return v.Hours >= 4 && v.Unsealed == 0
	})
	if v.Readings != 1 {
		t.Errorf("%+v", v)
	}
	noted := v.Head.Hour.Format(time.RFC3339) + "=" + v.Head.Hash

	in.rotateKeyring()
	in.must("usage", "verify", "--known", noted, "--from", began.Add(time.Hour).Format(time.RFC3339), "--to", v.Head.Hour.Add(time.Hour).Format(time.RFC3339))
	if _, err := in.run("usage", "verify", "--known", noted[:30]); err == nil {
		t.Error("half a hash is taken")
	}

	if _, err := in.db.Pool(t, "").Exec(t.Context(), `ALTER TABLE usage_readings DISABLE TRIGGER ALL; UPDATE usage_readings SET egress_bytes = 1; ALTER TABLE usage_readings ENABLE TRIGGER ALL`); err != nil {
		t.Fatal(err)
	}
	if code, out := in.exitCode("usage", "verify"); code != 1 || !strings.Contains(out, "usage of "+began.Format(time.RFC3339)+" is not what was sealed: hash") {
		t.Errorf("exit code %d: %s", code, out)
	}
	out, err := in.run("usage", "verify", "--json")
	if got := decode[usagereport.Verification](t, out); err == nil || got.OK || got.Difference == nil || got.Difference.What != "hash" || !got.Difference.Hour.Equal(began) {
		t.Errorf("%v: %s", err, out)
	}
}

// Usage that came late is shown as such.
func TestUsageAdjustments(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	account := decode[struct {
		ID tenancy.ID `json:"id"`
	}](t, in.must("account", "show", "acme", "--json")).ID
	now := time.Now().UTC().Truncate(time.Hour).Add(-3 * time.Hour)
	keyring, err := (&cli{environ: in.env}).keyring()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		meter, err := metering.New(metering.Config{Pool: in.db.Pool(t, pg.RoleGateway), Dir: t.TempDir(), Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		var tally metering.Tally
		meter.Begin(&tally, usage.Key{Account: account, Class: usage.ClassB})
		tally.Request()
		tally.Egress(7)
		tally.End()
		if err := errors.Join(meter.Flush(t.Context()), meter.Close()); err != nil {
			t.Fatal(err)
		}
		if err := ledger.NewSealer(ledger.SealerConfig{Pool: in.db.Pool(t, pg.RoleWorker), Keys: keyring, AtOnce: 1}).Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	u := decode[[]usagereport.Usage](t, in.must("usage", "show", "--account", "acme", "--by", "hour", "--json"))
	if len(u) != 1 || u[0].Egress != 14 || u[0].AdjustedEgress != 7 || u[0].Requests != 2 || u[0].AdjustedRequests != 1 {
		t.Errorf("usage: %+v", u)
	}
	a := decode[[]usagereport.Adjustment](t, in.must("usage", "adjustments", "--account", "acme", "--json"))
	if len(a) != 1 || a[0].Account != "acme" || a[0].Bucket != "-" || a[0].Egress != 7 || !a[0].Hour.Equal(now) || !a[0].SealHour.Equal(now.Add(time.Hour)) {
		t.Errorf("adjustments: %+v", a)
	}
	if a := decode[[]usagereport.Adjustment](t, in.must("usage", "adjustments", "--json", "--from", now.Add(2*time.Hour).Format(time.RFC3339))); len(a) != 0 {
		t.Errorf("adjustments of later seals: %+v", a)
	}
}
