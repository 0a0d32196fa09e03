// Package peer starts what is measured: PrimeCloud as it is shipped, the
// servers that it is compared with, and what stands behind them. All of them
// are child processes on loopback that die with the harness.
package peer

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/bench/load"
	"github.com/primecloudpro/primecloud/bench/nullbackend"
	"github.com/primecloudpro/primecloud/bench/procstat"
	"github.com/primecloudpro/primecloud/internal/devstack"
)

// Region is that of every server here.
const Region = "us-east-1"

// Bucket is the bucket that is loaded, by the same name everywhere.
const Bucket = nullbackend.ListBucket

// Server is a running server as its clients see it.
type Server struct {
	Name      string
	Addr      string // plain HTTP; "": none
	TLSAddr   string // "": none
	AdminAddr string // of PrimeCloud

	// What requests are signed with: for what passes them on unread, that is
	// what the backend wants.
	Host, AccessKey, SecretKey string

	pid  int
	stop func() error
}

// Signer signs for this server. TLS changes the port and so the host, unless
// the server passes requests on unread.
func (s *Server) Signer() *load.Signer {
	return load.NewSigner(s.Host, s.AccessKey, s.SecretKey, Region)
}

// Stop ends it before the lab is closed.
func (s *Server) Stop() error { return s.stop() }

// Group is the server's processes, for measurements.
func (s *Server) Group() procstat.Group { return procstat.Of(s.pid) }

// Lab is a machine full of servers.
type Lab struct {
	Binary string // of PrimeCloud
	Log    *os.File
	dir    string
	stop   []func() error
	pool   *x509.CertPool
}

// NewLab makes an empty one with a temporary folder.
func NewLab(binary string) (*Lab, error) {
	dir, err := os.MkdirTemp("", "primecloud-bench-")
	if err != nil {
		return nil, err
	}
	l := &Lab{Binary: binary, dir: dir, Log: os.Stderr}
	ca, err := devstack.EnsureCertificate(dir, "tls.crt", "tls.key", "localhost", "127.0.0.1")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	l.pool = x509.NewCertPool()
	l.pool.AppendCertsFromPEM(text)
	return l, nil
}

// Target is where a client connects to load s.
func (l *Lab) Target(s *Server, secure bool) load.Target {
	if !secure {
		return load.Target{Addr: s.Addr}
	}
	return load.Target{Addr: s.TLSAddr, TLS: &tls.Config{RootCAs: l.pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}}
}

// Close stops everything, last first, and removes the folder.
func (l *Lab) Close() error {
	var err error
	for i := len(l.stop) - 1; i >= 0; i-- {
		err = errors.Join(err, l.stop[i]())
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

func (l *Lab) path(name string) string { return filepath.Join(l.dir, name) }

// start runs a program until the lab is closed, with its output in a file:
// a pipe would make the harness work for it.
func (l *Lab) start(ctx context.Context, s *Server, cmd *exec.Cmd) error {
	log, err := os.OpenFile(l.path(fileName(s.Name)+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.dir, log, log
	p, err := devstack.StartProcess(ctx, s.Name, cmd, func(ctx context.Context) error { return answers(ctx, cmp.Or(s.Addr, s.TLSAddr)) })
	if err != nil {
		return fmt.Errorf("%w: %s", err, l.Tail(s))
	}
	s.pid = p.Pid()
	s.stop = func() error { return p.Stop(10 * time.Second) }
	l.stop = append(l.stop, s.stop)
	return nil
}

// Tail is the end of what a server has logged.
func (l *Lab) Tail(s *Server) string {
	b, _ := os.ReadFile(l.path(fileName(s.Name) + ".log"))
	return string(b[max(0, len(b)-500):])
}

// TrimLogs empties the files that the servers log to.
func (l *Lab) TrimLogs() {
	files, _ := filepath.Glob(l.path("*.log"))
	for _, f := range files {
		_ = os.Truncate(f, 0)
	}
}

func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}

func answers(ctx context.Context, addr string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// freeAddr is an address of loopback that nobody listens on.
func freeAddr() (string, error) {
	port, err := devstack.FreePort()
	return fmt.Sprintf("127.0.0.1:%d", port), err
}

// freeAddrs fills each of addrs.
func freeAddrs(addrs ...*string) error {
	for _, a := range addrs {
		var err error
		if *a, err = freeAddr(); err != nil {
			return err
		}
	}
	return nil
}
