package limits

import "context"

// Release gives back what is not used, as Run does at its end.
func (l *Limiter) Release() { l.release() }

// CountNodes counts the live nodes, as Run does.
func (l *Limiter) CountNodes(ctx context.Context) { l.countNodes(ctx) }

// Subjects is how many accounts and keys have state in memory.
func (l *Limiter) Subjects() (n int) {
	l.subjects.Range(func(any, any) bool { n++; return true })
	return n
}

// Awaited is how much requests wait for that their leases have not.
func (l *Limiter) Awaited() (n int64) {
	l.subjects.Range(func(_, h any) bool {
		for i := range h.(*subject).leases {
			if le := h.(*subject).leases[i].Load(); le != nil {
				n += le.pending.Load()
			}
		}
		return true
	})
	return n
}
