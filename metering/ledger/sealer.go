package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/pg"
)

// SealerConfig configures a Sealer. Pool and Keys are required.
type SealerConfig struct {
	Pool pg.Querier // as primecloud_worker
	Keys Keys
	// Dir is where the newest seal that this process has seen is noted, outside
	// the database. Several processes may share it. "": it is kept in memory.
	Dir     string
	AtOnce  int // hours that one run of Seal seals at most, the next goes on; 1000
	Logger  *slog.Logger
	Metrics prometheus.Registerer
}

// ErrSealsChanged means that the seals in the database are not those that were
// made: what comes after them is not sealed before somebody has looked.
var ErrSealsChanged = errors.New("metering: seals were removed or changed; nothing is sealed until somebody has looked (docs/METERING.md)")

// noteFile has the newest seal that is known, as HOUR=HASH.
const noteFile = "newest-seal"

// Sealer seals hours as they become final. A seal is made after the one before
// only when that is genuine, and nothing that this process has seen is gone: who
// owns the tables can change them, and shall not get a signature for it.
type Sealer struct {
	cfg SealerConfig

	mu    sync.Mutex
	note  note
	noted bool // the file has the note

	sealed   prometheus.Counter
	failures prometheus.Counter
	until    prometheus.Gauge
	changed  prometheus.Gauge
}

// note is a seal that was seen; the zero one is none.
type note struct {
	hour time.Time
	hash Digest
}

// NewSealer makes a sealer. Call its Seal every now and then, and run Watch.
func NewSealer(cfg SealerConfig) *Sealer {
	if cfg.AtOnce == 0 {
		cfg.AtOnce = 1000
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sealer{
		cfg: cfg,
		sealed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_metering_seals_total", Help: "Hours that this process has sealed.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_metering_seal_failures_total", Help: "Attempts to seal that failed and will be repeated.",
		}),
		until: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "primecloud_metering_sealed_until_timestamp_seconds", Help: "End of the newest sealed hour when this process last looked; 0: it has not, or nothing is sealed.",
		}),
		changed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "primecloud_metering_seals_changed", Help: "1: seals that this process has seen were removed or changed, or are not genuine; nothing is sealed until somebody has looked.",
		}),
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(s.sealed, s.failures, s.until, s.changed)
	}
	return s
}

// Seal seals what has become final since, each hour in a transaction of its
// own. It returns ErrSealsChanged when it refuses.
func (s *Sealer) Seal(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sealFinal(ctx); err != nil {
		s.failures.Inc()
		return fmt.Errorf("seal usage: %w", err)
	}
	return nil
}

func (s *Sealer) sealFinal(ctx context.Context) error {
	for range s.cfg.AtOnce {
		head, err := s.look(ctx)
		if err != nil {
			return err
		}
		final, _, err := Final(ctx, s.cfg.Pool)
		if err != nil {
			return err
		}
		sealed, err := sealNext(ctx, s.cfg.Pool, s.cfg.Keys, final, head)
		if err != nil || sealed == nil {
			return err
		}
		s.sealed.Inc()
		// The log is one more place that the database cannot change.
		s.cfg.Logger.Info("usage is sealed", "seal", note{sealed.Hour, sealed.Hash}.String(), "readings", sealed.Rows, "adjustments", sealed.Adjustments, "samples", sealed.Samples)
		s.see(*sealed)
	}
	return nil
}

// Watch looks at the seals every minute, so that a process knows those that
// others make: whichever of the fleet seals next would see that one is gone.
func (s *Sealer) Watch(ctx context.Context) {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		s.mu.Lock()
		if _, err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Error("the seals of usage", "error", err)
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// look returns the newest seal when it and all since the one that is known are
// genuine and follow each other. Without one that is known it believes a whole
// chain of genuine ones.
func (s *Sealer) look(ctx context.Context) (head Seal, err error) {
	if err := s.recall(); err != nil {
		return Seal{}, err
	}
	known := s.note
	chain, err := seals(ctx, s.cfg.Pool, known.hour, until(time.Time{}))
	if err != nil {
		return Seal{}, err
	}
	changed := func(hour time.Time, format string, args ...any) (Seal, error) {
		s.changed.Set(1)
		return Seal{}, fmt.Errorf("%w: the seal of %s %s", ErrSealsChanged, hour.Format(time.RFC3339), fmt.Sprintf(format, args...))
	}
	if !known.hour.IsZero() && (len(chain) == 0 || !chain[0].Hour.Equal(known.hour)) {
		return changed(known.hour, "is known to this worker and not there")
	}
	for i, this := range chain {
		switch {
		case i == 0 && !known.hour.IsZero() && this.Hash != known.hash:
			return changed(this.Hour, "is not the one that this worker knows")
		case i == 0 && known.hour.IsZero() && this.Previous != Digest{}:
			return changed(this.Hour, "is the first, and was not made as such")
		case i > 0 && (this.Previous != chain[i-1].Hash || !this.Hour.Equal(chain[i-1].Hour.Add(time.Hour))):
			return changed(this.Hour, "was not made after the one before")
		}
		if err := s.cfg.Keys.Attested(sealLabel, this.KeyID, this.Hash[:], this.HMAC); err != nil {
			return changed(this.Hour, "is not genuine: key %q: %v", this.KeyID, err)
		}
		head = this
	}
	if head.Hash != known.hash { // one that others made: it is what is there, too
		now := head
		if err := now.compute(ctx, s.cfg.Pool); err != nil {
			return Seal{}, err
		}
		if now.Hash != head.Hash {
			return changed(head.Hour, "does not fit what is there")
		}
	}
	s.changed.Set(0)
	s.see(head)
	return head, nil
}

// see notes a seal, on the disk before the next one is made.
func (s *Sealer) see(head Seal) {
	if head.Hour.IsZero() {
		return
	}
	s.until.Set(float64(head.Hour.Add(time.Hour).Unix()))
	n := note{head.Hour, head.Hash}
	if s.cfg.Dir == "" || n == s.note && s.noted {
		s.note = n
		return
	}
	s.note, s.noted = n, true
	if err := writeNote(s.cfg.Dir, n); err != nil {
		s.noted = false // it is in memory, and written again
		s.cfg.Logger.Error("the newest seal is not noted on the disk", "seal", n.String(), "error", err)
	}
}

// recall reads the note: another process may have written it, or somebody who
// has looked has removed it.
func (s *Sealer) recall() error {
	if s.cfg.Dir == "" {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(s.cfg.Dir, noteFile))
	if errors.Is(err, os.ErrNotExist) {
		if s.noted {
			s.note, s.noted = note{}, false
		}
		return nil
	}
	if err != nil {
		return err
	}
	hour, hash, _ := strings.Cut(strings.TrimSpace(string(b)), "=")
	at, terr := time.Parse(time.RFC3339, hour)
	sum, herr := hex.DecodeString(hash)
	if terr != nil || herr != nil || len(sum) != len(Digest{}) {
		return fmt.Errorf("metering: %s in %s has no HOUR=HASH", noteFile, s.cfg.Dir)
	}
	if n := (note{at.UTC(), Digest(sum)}); s.noted || !n.hour.Before(s.note.hour) {
		s.note, s.noted = n, true
	}
	return nil
}

func (n note) String() string {
	return n.hour.Format(time.RFC3339) + "=" + hex.EncodeToString(n.hash[:])
}

// writeNote replaces the file in one step.
func writeNote(dir string, n note) error {
	return disk.WriteFile(filepath.Join(dir, noteFile), []byte(n.String()+"\n"))
}
