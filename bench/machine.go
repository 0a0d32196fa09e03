package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/primecloudpro/primecloud/bench/peer"
	"github.com/primecloudpro/primecloud/bench/report"
	"github.com/primecloudpro/primecloud/internal/devstack"
)

func newReport(command string) *report.Report {
	return &report.Report{Command: command, Started: time.Now(), Machine: machine()}
}

func machine() report.Machine {
	m := report.Machine{CPU: procField("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), System: "unknown system", Versions: map[string]string{}}
	if kb := strings.Fields(procField("/proc/meminfo", "MemTotal")); len(kb) > 0 {
		var n float64
		if _, err := fmt.Sscan(kb[0], &n); err == nil {
			m.Memory = fmt.Sprintf("%.0f GiB", n/(1<<20))
		}
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if b, err := os.ReadFile("/etc/os-release"); err == nil {
		if _, rest, ok := strings.Cut(string(b), `PRETTY_NAME="`); ok {
			m.System, _, _ = strings.Cut(rest, `"`)
		}
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(b))[:3], " ")
	}
	for name, cmd := range map[string][]string{
		"nginx":   {"nginx", "-v"},
		"HAProxy": {"haproxy", "-v"},
		"Go":      {"go", "env", "GOVERSION"},
	} {
		if v := firstLine(cmd...); v != "" {
			m.Versions[name] = v
		}
	}
	_, m.Versions["MinIO"], _ = strings.Cut(devstack.MinIOModule, "@")
	_, m.Versions["versitygw"], _ = strings.Cut(peer.VersityModule, "@")
	if v := firstLine("git", "describe", "--always", "--dirty"); v != "" {
		m.Versions[gateway] = v
	}
	return m
}

func firstLine(cmd ...string) string {
	path, err := exec.LookPath(cmd[0])
	if err != nil {
		path = filepath.Join("/usr/sbin", cmd[0])
	}
	out, err := exec.Command(path, cmd[1:]...).CombinedOutput()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// procField is the value of the first line that begins with a name.
func procField(file, name string) string {
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
