// Package reload loads again what a running process has read from files: when one of
// them has changed, and when it is told to. What cannot be loaded leaves what was
// there before in use.
package reload

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Source is something that was read from files.
type Source struct {
	// Name is fixed: it is a label of metrics.
	Name string
	// Files are those that Load reads. They are asked for at each look, so that they may
	// depend on what was loaded.
	Files func() []string
	// Load reads the files and replaces what is in use, all of it or, with an error,
	// nothing. The error names the file. ctx ends when the process stops.
	Load func(ctx context.Context) error
}

// Config configures a Reloader. Zero fields take the default named.
type Config struct {
	Interval time.Duration // between two looks at the files; 2 s
	Retry    time.Duration // after a load that failed; 30 s
	Logger   *slog.Logger
	Metrics  prometheus.Registerer
}

// Reloader looks at files and loads their sources, one at a time, in the order in
// which they were added.
type Reloader struct {
	cfg    Config
	told   chan struct{}
	failed *prometheus.GaugeVec
	loads  *prometheus.CounterVec

	mu      sync.Mutex
	sources []*watched
}

// watched is a source with what its files were like.
type watched struct {
	Source
	loaded fingerprint // when it was loaded last, with whatever result
	seen   fingerprint // at the last look
	failed time.Time   // when loading has failed last; zero: it has not
}

// fingerprint is what files hold, by their contents: a file that was replaced, or a
// link that points elsewhere, is seen whatever its times say.
type fingerprint [sha256.Size]byte

// New makes a reloader without sources; Run looks at them.
func New(cfg Config) *Reloader {
	if cfg.Interval == 0 {
		cfg.Interval = 2 * time.Second
	}
	if cfg.Retry == 0 {
		cfg.Retry = 30 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Reloader{
		cfg: cfg, told: make(chan struct{}, 1),
		failed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "primecloud_reload_failed", Help: "1: what its files hold now could not be loaded, and what was there before is in use; the log says why.",
		}, []string{"source"}),
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "primecloud_reload_loads_total", Help: "Times that it was loaded again.",
		}, []string{"source"}),
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(r.failed, r.loads)
	}
	return r
}

// Add adds a source that has been loaded. It may be called while Run runs.
func (r *Reloader) Add(s Source) {
	r.failed.WithLabelValues(s.Name).Set(0)
	r.loads.WithLabelValues(s.Name)
	now := look(s.Files())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sources = append(r.sources, &watched{Source: s, loaded: now, seen: now})
}

// Trigger makes Run load every source, whether its files have changed or not. It
// does not wait for that.
func (r *Reloader) Trigger() {
	select {
	case r.told <- struct{}{}:
	default: // it is going to
	}
}

// Run looks at the files until ctx ends.
func (r *Reloader) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.Interval)
	defer tick.Stop()
	for {
		due := (*watched).changed
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-r.told:
			due = func(*watched, fingerprint, time.Duration) bool { return true }
		}
		r.mu.Lock()
		sources := r.sources[:len(r.sources):len(r.sources)]
		r.mu.Unlock()
		for _, w := range sources {
			now := look(w.Files())
			if due(w, now, r.cfg.Retry) && ctx.Err() == nil {
				r.load(ctx, w, now)
			}
			w.seen = now
		}
	}
}

// changed reports whether the files hold something else than what was loaded, and
// have for an interval: who replaces a certificate and its key does so one after the
// other.
func (w *watched) changed(now fingerprint, retry time.Duration) bool {
	return now != w.loaded && now == w.seen || !w.failed.IsZero() && time.Since(w.failed) >= retry
}

func (r *Reloader) load(ctx context.Context, w *watched, now fingerprint) {
	err := w.Load(ctx)
	if ctx.Err() != nil {
		return
	}
	w.loaded = now
	if err != nil {
		w.failed = time.Now()
		r.failed.WithLabelValues(w.Name).Set(1)
		r.cfg.Logger.Error("files could not be loaded again; what was loaded before stays in use", "source", w.Name, "error", err)
		return
	}
	w.failed = time.Time{}
	r.failed.WithLabelValues(w.Name).Set(0)
	r.loads.WithLabelValues(w.Name).Inc()
	r.cfg.Logger.Info("files were loaded again", "source", w.Name)
}

// largest bounds what is read of a file that somebody has named by mistake.
const largest = 16 << 20

func look(files []string) fingerprint {
	all := sha256.New()
	for _, name := range files {
		fmt.Fprintf(all, "%q", name)
		// To open a pipe would wait for who writes it.
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			fmt.Fprint(all, " cannot be opened")
			continue
		}
		one := sha256.New()
		if _, err := io.Copy(one, io.LimitReader(f, largest)); err != nil {
			fmt.Fprint(all, " cannot be read")
		}
		_ = f.Close()
		_, _ = all.Write(one.Sum(nil))
	}
	return fingerprint(all.Sum(nil))
}
