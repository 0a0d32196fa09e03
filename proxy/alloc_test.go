//go:build !race

package proxy_test

import (
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv"
)

// Not parallel: AllocsPerRun counts what the whole process allocates. The first
// runs fill the directory's cache, which takes what it is given in its own
// time; what still allocates after that is tried until the deadline.
func TestAdmission_allocatesNothing(t *testing.T) {
	for name, a := range admissions(t) {
		testenv.WaitFor(t, name+" to allocate nothing from parse to admit", func() bool {
			n := testing.AllocsPerRun(1000, func() {
				if err := a.Run(); err != nil {
					t.Fatal(name, err)
				}
			})
			if n != 0 {
				t.Logf("%s: %v allocations", name, n)
			}
			return n == 0
		})
	}
}

// The line of the access log included.
func TestSettle_allocatesNothing(t *testing.T) {
	for name, a := range admissions(t) {
		testenv.WaitFor(t, name+" to allocate nothing from parse to settle", func() bool {
			n := testing.AllocsPerRun(1000, func() {
				if err := a.Settle(); err != nil {
					t.Fatal(name, err)
				}
			})
			if n != 0 {
				t.Logf("%s: %v allocations", name, n)
			}
			return n == 0
		})
	}
}
