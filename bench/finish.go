package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/primecloudpro/primecloud/bench/report"
)

// finish adds the goals and writes JSON, page and charts. A part of the loads
// makes no page.
func (s *settings) finish(ctx context.Context, r *report.Report, p *probes) (err error) {
	if s.only != "" {
		return nil
	}
	p.try("micro", func() (err error) { p.micro, err = micro(ctx); return err })
	p.sha256 = sha256PerGB()
	r.Goals = goals(r, p)
	r.Took = time.Since(r.Started).Round(time.Second).String()
	if err := os.MkdirAll(s.results, 0o755); err != nil {
		return err
	}
	charts, err := s.charts(r)
	if err != nil {
		return err
	}
	return errors.Join(r.Write(filepath.Join(s.results, s.command+".json")), os.WriteFile(filepath.Join(s.results, "README.md"), r.Markdown(charts), 0o644))
}
