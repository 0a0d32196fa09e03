package pg_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// What a machine's clock says is compared with what the database's says: beyond
// five seconds it is said, beyond a minute the machine is not to be believed.
// What the way there and back explains is no difference.
func TestClock(t *testing.T) {
	t.Parallel()
	there := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		ahead, way, offset time.Duration
		log                string
		right              bool
	}{
		{0, 0, 0, "", true},
		{5 * time.Second, 0, 5 * time.Second, "", true},
		{5001 * time.Millisecond, 0, 5001 * time.Millisecond, "WARN", true},
		{-6 * time.Second, 0, -6 * time.Second, "WARN", true},
		{time.Minute, 0, time.Minute, "WARN", true},
		{61 * time.Second, 0, 61 * time.Second, "ERROR", false},
		{-61 * time.Second, 0, -61 * time.Second, "ERROR", false},
		{72 * time.Hour, 0, 72 * time.Hour, "ERROR", false},
		{-2 * time.Hour, time.Minute, -2*time.Hour + 30*time.Second, "ERROR", false},
		{0, 4 * time.Minute, 0, "", true}, // a slow answer proves nothing
		{time.Minute, 2 * time.Minute, 0, "", true},
		{2 * time.Minute, time.Minute, 90 * time.Second, "ERROR", false},
	} {
		t.Run(fmt.Sprint(tc.ahead, tc.way), func(t *testing.T) {
			t.Parallel()
			now, log, registry := there.Add(tc.ahead-tc.way/2), &bytes.Buffer{}, prometheus.NewRegistry()
			c := pg.NewClock(func() time.Time { return now }, slog.New(slog.NewTextHandler(log, nil)), registry)
			for range 3 {
				now = there.Add(tc.ahead - tc.way/2)
				answer := c.Ask()
				now = now.Add(tc.way)
				answer(there)
			}
			if c.Offset() != tc.offset || c.Right() != tc.right {
				t.Errorf("it is %s ahead, right: %v", c.Offset(), c.Right())
			}
			if n := strings.Count(log.String(), "level="); tc.log == "" && n != 0 || tc.log != "" && (n != 1 || !strings.Contains(log.String(), "level="+tc.log)) {
				t.Errorf("the log says %s", log)
			}
			families, err := registry.Gather()
			if err != nil || len(families) != 1 || families[0].GetName() != "primecloud_clock_offset_seconds" || families[0].GetMetric()[0].GetGauge().GetValue() != tc.offset.Seconds() {
				t.Errorf("metrics: %v, %v", families, err)
			}
			now = now.Add(time.Hour)
			if got := c.Now(); !got.Equal(there.Add(time.Hour)) {
				t.Errorf("an hour after it the database's time is %s", got)
			}
			now = there.Add(time.Hour)
			c.Ask()(there.Add(time.Hour))
			if !c.Right() || c.Offset() != 0 || tc.log != "" && !strings.Contains(log.String(), "agrees") {
				t.Errorf("put right, it is %s ahead: %s", c.Offset(), log)
			}
		})
	}
}

func TestClock_database(t *testing.T) {
	t.Parallel()
	pool := testenv.EmptyPostgres(t).Pool(t, "")
	for ahead, right := range map[time.Duration]bool{0: true, 2 * time.Hour: false, -72 * time.Hour: false} {
		c := pg.NewClock(func() time.Time { return time.Now().Add(ahead) }, nil, nil)
		if !c.Right() {
			t.Error("wrong before it was compared")
		}
		if err := c.Compare(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
		if c.Right() != right || time.Since(c.Now()).Abs() > time.Minute {
			t.Errorf("%s ahead: right is %v, and the database's time %s", ahead, c.Right(), c.Now())
		}
	}
	pool.Close()
	if err := pg.NewClock(time.Now, nil, nil).Compare(t.Context(), pool); err == nil {
		t.Error("compared with nothing")
	}
}
