package keyring

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// MemberConfig configures a Member. All but the last two are required.
type MemberConfig struct {
	Pool    pg.Querier // as the role
	Keyring *secret.Keyring
	Process rowid.ID // the same for all roles of a process
	Role    string
	Node    string // a label for people
	Logger  *slog.Logger
	Every   time.Duration // between two reports; 5 s
}

// Member is one role of a process, which reports the keys that it has, and hears which
// one seals. Its methods may be called by several goroutines at once.
type Member struct {
	cfg MemberConfig

	mu      sync.Mutex
	heard   state // last
	problem error
}

// Join reports for the first time. It refuses a keyring that is another installation's,
// or from before a rotation, with ErrWrong.
func Join(ctx context.Context, cfg MemberConfig) (*Member, error) {
	if cfg.Every == 0 {
		cfg.Every = 5 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Member{cfg: cfg}
	if err := m.Report(ctx); err != nil {
		_ = m.Leave(ctx) // or it is forgotten as silent
		return nil, err
	}
	return m, nil
}

// Report says which keys the process has now. It returns ErrWrong when they are not
// those to work with.
func (m *Member) Report(ctx context.Context) error {
	heard, err := m.tell(ctx, false)
	if err != nil {
		return fmt.Errorf("keyring: report: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = heard
	before := m.problem
	if m.problem = heard.check(m.cfg.Keyring, m.opens); m.problem != nil {
		if before == nil {
			m.cfg.Logger.Error("the keyring may not be used", "role", m.cfg.Role, "error", m.problem)
		}
		return m.problem
	}
	was := m.cfg.Keyring.Seals()
	if m.cfg.Keyring.SealWith(heard.seals); m.cfg.Keyring.Seals() != was {
		m.cfg.Logger.Info("a new key of the keyring seals", "key", heard.seals, "before", was)
		_, err = m.tell(ctx, false)
	}
	return err
}

func (m *Member) opens(id string) bool { return slices.Contains(m.cfg.Keyring.IDs(), id) }

func (m *Member) tell(ctx context.Context, leaves bool) (s state, err error) {
	k := m.cfg.Keyring
	return s, s.scan(m.cfg.Pool.QueryRow(ctx, `SELECT fingerprint, seals, since FROM report_keyring($1, $2, $3, $4, $5, $6, $7)`,
		m.cfg.Process, m.cfg.Role, m.cfg.Node, k.Fingerprint(), k.IDs(), k.Seals(), leaves))
}

// Accepts refuses a keyring that is to replace the process's one, and lacks the key that
// seals. It asks nobody.
func (m *Member) Accepts(next *secret.Keyring) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard.check(next, next.Has)
}

// Problem is why the keyring may not be used, as far as is known; nil: it may.
func (m *Member) Problem() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.problem
}

// Run reports until ctx ends, and then that the process has gone.
func (m *Member) Run(ctx context.Context) error {
	tick := time.NewTicker(m.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return m.Leave(context.WithoutCancel(ctx))
		case <-tick.C:
		}
		asking, done := context.WithTimeout(ctx, m.cfg.Every)
		if err := m.Report(asking); err != nil && m.Problem() == nil && ctx.Err() == nil {
			m.cfg.Logger.Warn("which keys this node has is not reported; a rotation may wait for it", "role", m.cfg.Role, "error", err)
		}
		done()
	}
}

// leaveTimeout bounds how long a process that stops waits for the database.
const leaveTimeout = 2 * time.Second

// Leave says that the process has gone. Who cannot say so is silent after a while.
func (m *Member) Leave(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, leaveTimeout)
	defer done()
	if _, err := m.tell(ctx, true); err != nil {
		m.cfg.Logger.Warn("the database was not told that this node has gone; it counts as silent", "role", m.cfg.Role, "error", err)
	}
	return nil
}
