package node

import (
	"context"
	"fmt"

	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/keyring"
)

// keys is a process's keyring, which all of its parts use, and its roles' reports.
type keys struct {
	*secret.Keyring
	process tenancy.ID
	reread  func() (Config, error)
	text    string // that was loaded
	members []*keyring.Member
}

// Reload reads the keyring again and puts its keys in, while everybody uses it. With an
// error the keys stay what they were.
func (k *keys) Reload(ctx context.Context) error {
	cfg, err := k.reread()
	if err != nil {
		return err
	}
	if cfg.Keyring == k.text {
		return nil
	}
	next, err := secret.Parse([]byte(cfg.Keyring))
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	for _, m := range k.members {
		if err := m.Accepts(next); err != nil {
			return err
		}
	}
	if err := k.Replace(next); err != nil {
		return fmt.Errorf("keyring: it cannot replace the one in use: %w", err)
	}
	k.text = cfg.Keyring
	for _, m := range k.members {
		_ = m.Report(ctx) // it says itself what is wrong, and is repeated
	}
	return nil
}

// joinKeyring refuses a keyring that is not this installation's before the role does
// anything, and reports the keys from then on.
func (n *node) joinKeyring(ctx context.Context, role string, pool pg.Querier) (*keyring.Member, error) {
	m, err := keyring.Join(ctx, keyring.MemberConfig{Pool: pool, Keyring: n.keyring.Keyring, Process: n.keyring.process, Role: role, Node: n.cfg.Node, Logger: n.log})
	if err != nil {
		return nil, err
	}
	n.keyring.members = append(n.keyring.members, m)
	s := Background("keyring of the "+role, m.Run)
	check := health.Check{Name: "keyring of the " + role, Look: func() health.Result { return whether(m.Problem()) }}
	if role == RoleWorker {
		check = n.ofWorker(check)
	}
	s.Checks = []health.Check{check}
	return m, n.services.Push(s)
}
