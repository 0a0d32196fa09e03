package ledger_test

import (
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/metering/ledger"
)

// A day is final with its last hour, or with the last that the query selects of it.
func TestQuery_Final(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name  string
		query ledger.Query
		value string
		final time.Time
		want  bool
	}{
		{"a day that is over", ledger.Query{By: ledger.ByDay}, "2026-03-01", day.Add(24 * time.Hour), true},
		{"its last hour is open", ledger.Query{By: ledger.ByDay}, "2026-03-01", day.Add(23 * time.Hour), false},
		{"its last hour is not asked for", ledger.Query{By: ledger.ByDay, To: day.Add(23 * time.Hour)}, "2026-03-01", day.Add(23 * time.Hour), true},
		{"an end on another day", ledger.Query{By: ledger.ByDay, To: day.Add(72 * time.Hour)}, "2026-03-01", day.Add(23 * time.Hour), false},
		{"an hour", ledger.Query{By: ledger.ByHour}, "2026-03-01T10:00:00Z", day.Add(11 * time.Hour), true},
		{"an account without an end", ledger.Query{By: ledger.ByAccount}, "", day.Add(1000 * time.Hour), false},
		{"an account with one", ledger.Query{By: ledger.ByAccount, To: day.Add(11 * time.Hour)}, "", day.Add(11 * time.Hour), true},
	} {
		if got, err := tc.query.Final(tc.value, tc.final); err != nil || got != tc.want {
			t.Errorf("%s: %v, %v", tc.name, got, err)
		}
		if never := tc.query.Endless(); never && tc.want {
			t.Errorf("%s: it is final, and said to be never", tc.name)
		}
	}
}
