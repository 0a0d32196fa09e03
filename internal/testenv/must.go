package testenv

import "testing"

// Must returns a function that returns v, or ends the test that it is called with
// because of err: Must(f())(t).
func Must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
