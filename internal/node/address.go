package node

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/primecloudpro/primecloud/internal/finding"
	"github.com/primecloudpro/primecloud/internal/settings"
)

// listenTCP listens at the address of a setting.
func listenTCP(setting, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	why := "it cannot be listened on (" + err.Error() + "); write HOST:PORT or :PORT, of this machine"
	var op *net.OpError
	var unknown *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		why = "another process listens there; stop it, or write another port"
	case errors.Is(err, syscall.EACCES):
		why = "this user may not listen there; write a port above 1023, or give the process CAP_NET_BIND_SERVICE"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		why = "this machine has no such address; write one of its own, or :PORT for all of them"
	case errors.As(err, &unknown):
		why = "there is no such host or port name; write HOST:PORT or :PORT, of this machine"
	case errors.As(err, &op) && op.Err != nil:
		why = op.Err.Error() + "; write HOST:PORT or :PORT, of this machine"
	}
	return nil, finding.Worded(err, fmt.Sprintf("%s: %q: %s", setting, addr, why))
}

// CheckOutside finds out whether all addresses can be listened on, and whether the log
// can be written. Who starts other things before a node asks for it first.
func (cfg *Config) CheckOutside() error {
	var c complaints
	cfg.checkWords(&c)
	if len(c.errs) > 0 {
		return settings.Invalid(errors.Join(c.errs...))
	}
	for _, a := range []struct{ setting, addr string }{
		{"s3.addr", cfg.S3.Addr}, {"tls.addr", cfg.TLS.Addr}, {"admin.addr", cfg.Admin.Addr}, {"health.addr", cfg.Health.Addr},
	} {
		if a.addr == "" {
			continue
		}
		l, err := listenTCP(a.setting, a.addr)
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}
