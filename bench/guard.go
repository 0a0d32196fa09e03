package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/bench/load"
	"github.com/primecloudpro/primecloud/bench/report"
)

// The guard compares with HAProxy in the same minute on the same machine, so
// that a slow machine slows both: ratios of CPU time, never times.
const rival = "HAProxy"

// slack is how far above its baseline a ratio may be.
const slack = 1.5

var guarded = []contest{
	{work: get(kib), connections: 16},
	{work: get(10 * mib), connections: 4},
	{work: put(10*mib, load.Unsigned), connections: 4},
}

// baseline is what bench/baseline/guard.json holds: ratios by load.
type baseline map[string]float64

func guard(ctx context.Context, s *settings) error {
	if err := allocations(ctx); err != nil {
		return err
	}
	ratios, err := s.ratios(ctx)
	if err != nil {
		return err
	}
	if s.update {
		return writeBaseline(s.baselineFile, ratios)
	}
	text, err := os.ReadFile(s.baselineFile)
	if err != nil {
		return err
	}
	base := baseline{}
	if err := json.Unmarshal(text, &base); err != nil {
		return fmt.Errorf("%s: %w", s.baselineFile, err)
	}
	lines, err := judge(base, ratios)
	fmt.Print(strings.Join(lines, ""))
	return err
}

// judge fails a load whose ratio is above slack times its baseline in every
// repetition: noise hits some, a regression hits all.
func judge(base baseline, ratios map[string][]float64) (lines []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(ratios)) {
		was, ok := base[name]
		if !ok {
			err = errors.Join(err, fmt.Errorf("%s has no baseline", name))
			continue
		}
		best := slices.Min(ratios[name])
		lines = append(lines, fmt.Sprintf("%-24s CPU against %s: %s, baseline %.2f\n", name, rival, report.Numbers(ratios[name]), was))
		if best > slack*was {
			err = errors.Join(err, fmt.Errorf("%s costs %.2f times what %s does, in the best of %d repetitions; it was %.2f", name, best, rival, len(ratios[name]), was))
		}
	}
	for name := range base {
		if _, ok := ratios[name]; !ok {
			err = errors.Join(err, fmt.Errorf("%s was not measured", name))
		}
	}
	return lines, err
}

func writeBaseline(file string, ratios map[string][]float64) error {
	base := baseline{}
	for name, list := range ratios {
		base[name] = float64(int(report.NewStat(list).Median*1000)) / 1000
	}
	b, err := json.MarshalIndent(base, "", "\t")
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, append(b, '\n'), 0o644))
}

// ratios measures each load three times, the rival and PrimeCloud in turn.
func (s *settings) ratios(ctx context.Context) (ratios map[string][]float64, err error) {
	st, err := s.open(ctx, nullName, nil, []string{rival, gateway})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.lab.Close()) }()
	if why, missing := st.missing[rival]; missing {
		return nil, fmt.Errorf("%s, which the guard compares with: %s", rival, why)
	}
	st.warmup = 200 * time.Millisecond
	ratios = map[string][]float64{}
	for _, c := range guarded {
		theirs, ours := &collected{server: st.server(rival)}, &collected{server: st.server(gateway)}
		for range 3 {
			for _, one := range []*collected{theirs, ours} {
				if err := st.measure(one, &c, 700*time.Millisecond); err != nil {
					return nil, fmt.Errorf("%s, %s: %w", one.server.Name, c.work.name, err)
				}
			}
			ratios[c.work.name] = append(ratios[c.work.name], ours.cpu[len(ours.cpu)-1]/theirs.cpu[len(theirs.cpu)-1])
		}
	}
	return ratios, nil
}

// allocations runs the tests that hold the hot path to none.
func allocations(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-count", "1", "-run", "(?i)alloc", "./sigv4", "./tenancy", "./metering", "./proxy")
	cmd.Env = append(cmd.Environ(), "GOFLAGS=-buildvcs=false", "PRIMECLOUD_TEST_STRICT=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the allocation tests: %w\n%s", err, out)
	}
	return nil
}
