package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// bench is one benchmark's result: the least time of its repetitions, since
// what else runs only adds, and the most allocations that any had.
type bench struct{ ns, allocs float64 }

// micro runs Go benchmarks by name.
func micro(ctx context.Context) (map[string]bench, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-count", "5", "-benchtime", "50ms", "-benchmem",
		"-bench", "^(BenchmarkVerifySign|BenchmarkAdmission|BenchmarkTally_Egress)$", "./sigv4", "./metering", "./proxy")
	cmd.Env = append(cmd.Environ(), "GOFLAGS=-buildvcs=false", "PRIMECLOUD_TEST_STRICT=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go test -bench: %w: %s%s", err, out, stderr.Bytes())
	}
	return parseBench(out)
}

// parseBench reads go test's lines: name, iterations, then pairs of value and unit.
func parseBench(out []byte) (map[string]bench, error) {
	ns := map[string][]float64{}
	results := map[string]bench{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		// The last -N is GOMAXPROCS.
		name := f[0]
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		r := results[name]
		for i := 2; i+1 < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", lines.Text(), err)
			}
			switch f[i+1] {
			case "ns/op":
				ns[name] = append(ns[name], v)
			case "allocs/op":
				r.allocs = max(r.allocs, v)
			}
		}
		results[name] = r
	}
	if len(ns) == 0 {
		return nil, errors.New("no benchmark in the output")
	}
	for name, values := range ns {
		r := results[name]
		r.ns = slices.Min(values)
		results[name] = r
	}
	return results, nil
}
