package quantity

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads 90s, 5m, 2h30m, and with days 7d or 1d12h. A number alone is
// refused: seconds are not more likely than minutes.
func ParseDuration(s string) (time.Duration, error) {
	rest, days := s, 0
	if front, behind, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.Atoi(front)
		if err != nil || n < 0 || n > 100*366 {
			return 0, notDuration(s)
		}
		if rest, days = behind, n; rest == "" {
			rest = "0s"
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, notDuration(s)
	}
	return time.Duration(days)*24*time.Hour + d, nil
}

func notDuration(s string) error {
	return fmt.Errorf("%q is not a duration; write 30s, 5m, 2h30m or 7d", s)
}

// hourForms are what people write for an hour; without an offset it is UTC.
var hourForms = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02"}

// Hour is the beginning of an hour, in UTC.
type Hour struct{ time.Time }

// UnmarshalText reads 2026-11-27T15:00Z, with the offset of any zone, or 2026-11-27,
// which is the first hour of that day in UTC. What is counted is counted by the hour,
// so that a time within one is refused.
func (h *Hour) UnmarshalText(text []byte) error {
	for _, form := range hourForms {
		t, err := time.Parse(form, string(text))
		if err != nil {
			continue
		}
		h.Time = t.UTC().Truncate(time.Hour)
		if !h.Equal(t) {
			return fmt.Errorf("%q is within an hour, and figures are of whole ones; write %s or %s", text, h, Hour{h.Add(time.Hour)})
		}
		return nil
	}
	return fmt.Errorf("%q is no date and no hour; write 2026-11-27 or 2026-11-27T15:00Z", text)
}

// String writes an hour as UnmarshalText reads it.
func (h Hour) String() string { return h.UTC().Format(hourForms[1]) }
