package node

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/internal/listen"
	"github.com/primecloudpro/primecloud/internal/reload"
	"github.com/primecloudpro/primecloud/internal/settings"
)

// reloadable are the settings that a process takes up while it runs, here; the keyring
// is a source of its own, which says itself what became of it.
var reloadable = []string{"log.level", "s3.trusted_proxies", "tls.cert", "tls.key"}

// watchSettings makes the process take up settings that are read again. It comes before
// all other sources, since settings name their files.
func (n *node) watchSettings() {
	began, applied := n.cfg, n.cfg
	if began.Reread == nil {
		return
	}
	n.apply = append(n.apply, func(cfg Config) {
		level, _ := cfg.level() // it was checked
		n.level.Set(level)
	})
	n.reloader.Add(reload.Source{Name: "settings", Files: func() []string { return began.Files }, Load: func(context.Context) error {
		next, err := began.Reread()
		if err != nil {
			return err
		}
		if err := next.validate(); err != nil {
			return err
		}
		for _, apply := range n.apply {
			apply(next)
		}
		changed := slices.DeleteFunc(settings.Differ(&applied, &next), func(path string) bool { return !slices.Contains(reloadable, path) })
		restart := slices.DeleteFunc(settings.Differ(&began, &next), func(path string) bool { return path == "keyring" || slices.Contains(reloadable, path) })
		applied = next
		if len(changed) > 0 {
			n.log.Info("settings have changed", "settings", strings.Join(changed, ", "))
		}
		if len(restart) > 0 {
			n.log.Warn("settings have changed that need a restart", "settings", strings.Join(restart, ", "))
		}
		return nil
	}})
}

// certificate loads the pair of S3's listener, again when one of its files or the
// settings that name them change.
func (n *node) certificate() (*listen.Pair, error) {
	var files atomic.Pointer[TLS]
	files.Store(&n.cfg.TLS)
	pair, err := listen.LoadPair(n.cfg.TLS.Cert, n.cfg.TLS.Key, n.cfg.now(), n.registry)
	if err != nil {
		return nil, err
	}
	n.apply = append(n.apply, func(cfg Config) {
		if cfg.TLS.Cert != "" && cfg.TLS.Key != "" { // else the listener is to end, with a restart
			files.Store(&cfg.TLS)
		}
	})
	n.reloader.Add(reload.Source{
		Name:  "certificate",
		Files: func() []string { f := files.Load(); return []string{f.Cert, f.Key} },
		Load:  func(context.Context) error { f := files.Load(); return pair.Load(f.Cert, f.Key) },
	})
	return pair, n.services.Push(Service{Name: "certificate", Checks: []health.Check{{
		Name: "certificate", Look: func() health.Result { return whether(pair.Invalid()) },
	}}})
}

// startReloading begins to look for what has changed.
func (n *node) startReloading() error {
	return n.services.Push(Foreground("reload", func(ctx context.Context) error {
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-ctx.Done():
					return
				case <-n.cfg.Hangup:
					n.reloader.Trigger()
				}
			}
		}()
		err := n.reloader.Run(ctx)
		<-stopped
		return err
	}))
}
