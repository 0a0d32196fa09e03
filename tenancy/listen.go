package tenancy

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// connectTimeout is short: on a healing network a new attempt gets through
// sooner than an old one.
const connectTimeout = 2 * time.Second

// Run listens for changes until ctx ends. A connection that is cut without a
// word is noticed by the missing heartbeat, which travels through PostgreSQL
// as a change would.
func (d *Directory) Run(ctx context.Context) error {
	var background sync.WaitGroup
	background.Go(func() { d.reapAbandoned(ctx) })
	background.Go(func() { d.followEnded(ctx) })
	background.Go(func() { d.followProven(ctx) })
	defer background.Wait()
	wait := firstWait
	for ctx.Err() == nil {
		began := time.Now()
		err := d.listen(ctx)
		if ctx.Err() != nil {
			break // asked to stop
		}
		d.cfg.Logger.Warn("directory disconnected from the database", "error", err)
		if errors.Is(err, errSilent) {
			// The pool's connections went silent with this one, and each
			// would keep a load waiting to find that out.
			d.cfg.Pool.Reset()
		}
		if time.Since(began) > 10*time.Second {
			wait = firstWait
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, time.Second)
	}
	return nil
}

const firstWait = 50 * time.Millisecond

// listen holds one connection until it breaks or falls silent. Both its own
// heartbeat and everyone's changes come on it, in the order of their commits.
func (d *Directory) listen(ctx context.Context) error {
	conn, beat, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		d.disconnected()
		// Not conn.Close: it would wait for the answer of a silent server.
		_ = conn.PgConn().Conn().Close()
		_ = conn.Close(ctx)
	}()
	for {
		if err := d.heartbeat(ctx, conn, beat); err != nil {
			return err
		}
	}
}

// connect begins a new epoch: from LISTEN on nothing is missed; what was
// missed before is asked for again.
func (d *Directory) connect(ctx context.Context) (conn *pgx.Conn, beat string, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	cfg := d.cfg.Pool.Config().ConnConfig
	cfg.RuntimeParams["application_name"] = "primecloud directory"
	if conn, err = pgx.ConnectConfig(ctx, cfg); err != nil {
		return nil, "", err
	}
	beat = "primecloud_beat_" + strings.ToLower(rand.Text())
	now := time.Now()
	if _, err = conn.Exec(ctx, `SELECT hear_changes(); LISTEN `+beat); err == nil {
		err = d.proven.readAll(ctx, conn)
	}
	if err != nil {
		_ = conn.PgConn().Conn().Close()
		return nil, "", err
	}
	d.connectedAt(now)
	d.ended.changed()
	select {
	case <-d.ready:
	default:
		close(d.ready)
	}
	return conn, beat, nil
}

var (
	errSilent  = errors.New("no heartbeat: the connection is silent")
	errRenewed = errors.New("changes are told on another channel from now on")
)

// heartbeat sends one, and applies what comes until it is time for the next.
func (d *Directory) heartbeat(ctx context.Context, conn *pgx.Conn, beat string) error {
	sent := time.Now()
	deadline := d.sync.Load().lastHeartbeat.Add(d.cfg.HeartbeatTimeout)
	sending, cancel := context.WithDeadline(ctx, deadline)
	_, err := conn.Exec(sending, `NOTIFY `+beat)
	cancel()
	if errors.Is(err, context.DeadlineExceeded) {
		return errSilent
	}
	if err != nil {
		return err
	}
	for until, answered := deadline, false; ; {
		waiting, cancel := context.WithDeadline(ctx, until)
		n, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil && n.Channel == beat:
			d.heartbeatAt(sent)
			until, answered = sent.Add(d.cfg.Heartbeat), true
		case err == nil && n.Payload == "renewed":
			return errRenewed
		case err == nil:
			d.apply(n.Payload)
		case !errors.Is(err, context.DeadlineExceeded):
			return err
		case answered:
			return nil // time for the next one
		default:
			return errSilent
		}
	}
}

// followEnded reads which keys have ended: at the start, when a key has changed,
// and once a minute for changes whose notification was missed.
func (d *Directory) followEnded(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		trying, cancel := context.WithTimeout(ctx, d.cfg.LoadTimeout)
		err := d.ended.follow(trying, d.cfg.Pool)
		cancel()
		if err != nil && d.Connected() && ctx.Err() == nil {
			d.cfg.Logger.Warn("keys that ended not read", "error", err)
		}
		select { // one query for many changes
		case <-ctx.Done():
			return
		case <-time.After(endedPause):
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-d.ended.news:
		}
	}
}

// endedPause is the least time between two looks.
const endedPause = 500 * time.Millisecond

// reapAbandoned makes buckets writable again whose deletion was begun by a process
// that died, once a minute until ctx ends.
func (d *Directory) reapAbandoned(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		trying, cancel := context.WithTimeout(ctx, d.cfg.LoadTimeout)
		n, err := RestoreAbandoned(trying, d.cfg.Pool)
		cancel()
		if err != nil && d.Connected() && ctx.Err() == nil {
			d.cfg.Logger.Warn("buckets of unfinished deletions not restored", "error", err)
		}
		if n > 0 {
			d.cfg.Logger.Info("buckets whose deletion was never finished are to be written to again", "buckets", n)
		}
	}
}

// apply invalidates what a notification names: "key:<id>", "account:<uuid>",
// "name:<account>", "domain:<host>", "bucket:<uuid>/<name>", "backend:<uuid>". The
// channel's name is a secret (docs/decisions/0028): without it nothing can be
// received or sent on it.
func (d *Directory) apply(payload string) {
	kind, key, _ := strings.Cut(payload, ":")
	switch kind {
	case "key":
		d.keys.invalidate(key)
		d.ended.changed()
	case "name":
		d.names.invalidate(key)
	case "domain":
		d.domains.invalidate(key)
		d.proven.heard(key)
	case "account":
		if id, err := ParseID(key); err == nil {
			d.accounts.invalidate(string(id[:]))
		}
	case "backend":
		if id, err := ParseID(key); err == nil {
			d.backends.invalidate(string(id[:]))
		}
	case "bucket":
		account, name, _ := strings.Cut(key, "/")
		if id, err := ParseID(account); err == nil {
			d.buckets.invalidate(string(id[:]) + name)
		}
	}
}
