package s3err

import "testing"

// Every code that a table leads to has a status and a sentence, and a status of a
// backend's leads to a code that is refused with a status of its hundred.
func TestTables(t *testing.T) {
	t.Parallel()
	for name, c := range codes {
		if c.status < 300 || c.status > 599 || c.message == "" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	check := func(from, to string) {
		if _, known := codes[to]; !known {
			t.Errorf("%s leads to %s, which is no code", from, to)
		}
	}
	for _, s := range sentinels {
		check(s.err.Error(), s.code)
	}
	for from, m := range backendCodes {
		check(from, m.code)
	}
	for status, code := range backendStatuses {
		check(code, code)
		if client := codes[code].status < 500; client != (status < 500) && codes[code].status != 503 {
			t.Errorf("%d leads to %s, which is answered with %d", status, code, codes[code].status)
		}
	}
}
