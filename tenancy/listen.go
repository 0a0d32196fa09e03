package tenancy

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Run listens for changes until ctx ends. A connection that is cut without a
// word is noticed by the missing heartbeat, which travels through PostgreSQL
// as a change would.
func (d *Directory) Run(ctx context.Context) error {
	go d.watchStaleness(ctx)
	wait := 50 * time.Millisecond
	for {
		began := time.Now()
		err := d.listen(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // asked to stop
		}
		d.cfg.Logger.Warn("directory disconnected from the database", "error", err)
		d.state.CompareAndSwap(stateConnected, stateCoasting)
		if time.Since(began) > 10*time.Second {
			wait = 50 * time.Millisecond
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, time.Second)
	}
}

// listen holds one connection until it breaks or falls silent.
func (d *Directory) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	connecting, done := context.WithTimeout(ctx, d.cfg.LoadTimeout)
	defer done()
	conn, err := pgx.ConnectConfig(connecting, d.cfg.Pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	beat := "primecloud_beat_" + strings.ToLower(rand.Text())
	if _, err := conn.Exec(connecting, `LISTEN primecloud; LISTEN `+beat); err != nil {
		return err
	}
	// From here on nothing is missed; what was missed before is asked again.
	d.epoch.Add(1)
	d.hear()
	d.state.Store(stateConnected)
	select {
	case <-d.ready:
	default:
		close(d.ready)
	}
	go d.beat(ctx, beat)
	for {
		waiting, stop := context.WithDeadline(ctx, time.Unix(0, d.heard.Load()).Add(d.cfg.Deafness))
		n, err := conn.WaitForNotification(waiting)
		stop()
		if err != nil {
			if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
				return errors.New("no heartbeat: the connection is silent")
			}
			return err
		}
		if n.Channel == beat {
			d.hear()
			continue
		}
		d.apply(n.Payload)
	}
}

// beat sends the node its own notification, on another connection than the
// one that listens.
func (d *Directory) beat(ctx context.Context, channel string) {
	tick := time.NewTicker(d.cfg.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sending, cancel := context.WithTimeout(ctx, d.cfg.Deafness)
		_, err := d.cfg.Pool.Exec(sending, `SELECT pg_notify($1, '')`, channel)
		cancel()
		if err != nil && ctx.Err() == nil {
			d.cfg.Logger.Debug("heartbeat not sent", "error", err)
		}
	}
}

func (d *Directory) hear() { d.heard.Store(time.Now().UnixNano()) }

// watchStaleness ends the coasting when MaxStale has passed.
func (d *Directory) watchStaleness(ctx context.Context) {
	tick := time.NewTicker(max(d.cfg.MaxStale/20, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if time.Since(time.Unix(0, d.heard.Load())) > d.cfg.MaxStale {
				d.state.CompareAndSwap(stateCoasting, stateStale)
			}
		}
	}
}

// apply invalidates what a notification names: "key:<id>", "account:<uuid>",
// "name:<account>", "domain:<host>", "bucket:<uuid>/<name>", "backend:<uuid>".
func (d *Directory) apply(payload string) {
	kind, key, _ := strings.Cut(payload, ":")
	switch kind {
	case "key":
		d.keys.invalidate(key)
	case "name":
		d.names.invalidate(key)
	case "domain":
		d.domains.invalidate(key)
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

func closeConn(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx)
}
