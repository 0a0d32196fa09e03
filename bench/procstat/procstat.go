// Package procstat reads from the operating system what a process has used:
// CPU time to the nanosecond and peak memory.
package procstat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Group is a server: one process and the children it had when it was asked.
type Group []int

// Of returns a process and all below it: nginx's master and its workers.
func Of(pid int) Group {
	g := Group{pid}
	for i := 0; i < len(g); i++ {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", g[i]))
		for _, list := range lists {
			b, _ := os.ReadFile(list)
			for _, f := range strings.Fields(string(b)) {
				if n, err := strconv.Atoi(f); err == nil {
					g = append(g, n)
				}
			}
		}
	}
	return g
}

// CPU is the time that all threads of the group have run, those that have
// ended with them, in user and kernel mode.
func (g Group) CPU() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range g {
		var ts unix.Timespec
		// The clock of another process: clock_getcpuclockid(3), CPUCLOCK_SCHED.
		if err := unix.ClockGettime(int32(^pid)<<3|2, &ts); err != nil {
			return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
		}
		sum += time.Duration(ts.Nano())
	}
	return sum, nil
}

// ResetPeak makes Peak begin anew.
func (g Group) ResetPeak() error {
	var errs []error
	for _, pid := range g {
		errs = append(errs, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0))
	}
	return errors.Join(errs...)
}

// Peak is the most memory that was resident since ResetPeak, in bytes.
func (g Group) Peak() (int64, error) { return g.memory("VmHWM:") }

// Resident is the memory that is resident now, in bytes.
func (g Group) Resident() (int64, error) { return g.memory("VmRSS:") }

func (g Group) memory(field string) (int64, error) {
	var sum int64
	for _, pid := range g {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(b), field)
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[1] != "kB" {
			return 0, fmt.Errorf("process %d: no %s in its status", pid, field)
		}
		n, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n << 10
	}
	return sum, nil
}
