package ledger

import (
	"context"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// SealUntil seals every hour that is over before until, whatever the nodes say.
func SealUntil(ctx context.Context, q pg.Querier, keys Keys, until time.Time) (sealed int, err error) {
	for ; ; sealed++ {
		head, err := newest(ctx, q)
		if err != nil {
			return sealed, err
		}
		if s, err := sealNext(ctx, q, keys, until, head); err != nil || s == nil {
			return sealed, err
		}
	}
}

// Look is what Watch does every minute.
func (s *Sealer) Look(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.look(ctx)
	return err
}
