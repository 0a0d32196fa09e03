package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/primecloudpro/primecloud/bench/report"
)

// finish adds the goals and writes JSON, page and charts; a quick run prints its
// page. A part of the loads makes none.
func (s *settings) finish(ctx context.Context, r *report.Report, p *probes) error {
	if s.only != nil {
		return nil
	}
	p.try("micro", func() (err error) { p.micro, err = micro(ctx); return err })
	p.sha256 = sha256PerGB()
	r.Goals = goals(r, p)
	r.Took = time.Since(r.Started).Round(time.Second).String()
	if err := os.MkdirAll(s.results, 0o755); err != nil {
		return err
	}
	if err := r.Write(filepath.Join(s.results, s.command+".json")); err != nil {
		return err
	}
	if s.command == "quick" { // the page that is kept is of a run with every load
		_, err := os.Stdout.Write(r.Markdown(nil))
		return err
	}
	charts, err := s.charts(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.results, "README.md"), r.Markdown(charts), 0o644)
}
