package tenancy_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
)

// blackhole is a TCP proxy before PostgreSQL that can stop forwarding without
// closing anything: no FIN, no RST, as when a firewall forgets a connection.
type blackhole struct {
	listener        net.Listener
	network, target string
	mu              sync.Mutex
	swallow         func(listening bool) bool // of new connections
	cuts            []*cutting
	conns           []net.Conn
}

// cutting is one connection; what comes after cut goes nowhere.
type cutting struct {
	mu        sync.Mutex
	cut       bool
	listening bool // it is the directory's
}

func newBlackhole(t testing.TB, network, target string) *blackhole {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &blackhole{listener: l, network: network, target: target, swallow: func(bool) bool { return false }}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go h.serve(c)
		}
	}()
	return h
}

func (h *blackhole) close() {
	_ = h.listener.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		_ = c.Close()
	}
}

// through returns a DirectoryConfig whose database is behind a new blackhole.
func (f *fixture) through(h **blackhole) func(*tenancy.DirectoryConfig) {
	cfg := must(pg.ParseConfig(f.db.URL(pg.RoleGateway)))(f.t)
	*h = newBlackhole(f.t, "", "")
	(*h).network, (*h).target = pgconn.NetworkAddress(cfg.ConnConfig.Host, cfg.ConnConfig.Port)
	addr := (*h).listener.Addr().(*net.TCPAddr)
	cfg.ConnConfig.Host, cfg.ConnConfig.Port = "127.0.0.1", uint16(addr.Port)
	cfg.ConnConfig.Fallbacks, cfg.ConnConfig.TLSConfig = nil, nil
	pool := must(pgxpool.NewWithConfig(f.t.Context(), cfg))(f.t)
	f.t.Cleanup(pool.Close)
	f.t.Cleanup((*h).close) // first: the pool says farewell to every connection, and waits
	return func(c *tenancy.DirectoryConfig) { c.Pool = pool }
}

func (h *blackhole) serve(client net.Conn) {
	first := make([]byte, 4096) // the startup message, which names the application
	n, err := client.Read(first)
	if err != nil {
		_ = client.Close()
		return
	}
	c := &cutting{listening: bytes.Contains(first[:n], []byte("primecloud directory"))}
	h.mu.Lock()
	h.cuts, h.conns = append(h.cuts, c), append(h.conns, client)
	c.cut = h.swallow(c.listening)
	network, target := h.network, h.target
	h.mu.Unlock()
	server, err := net.Dial(network, target)
	if err != nil {
		_ = client.Close()
		return
	}
	h.mu.Lock()
	h.conns = append(h.conns, server)
	h.mu.Unlock()
	c.write(server, first[:n])
	go c.copy(client, server)
	c.copy(server, client)
}

func (c *cutting) write(to io.Writer, b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return true
	}
	_, err := to.Write(b)
	return err == nil
}

func (c *cutting) copy(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			c.mu.Lock()
			if !c.cut { // an end is news too: it is not passed on when cut
				_ = to.Close()
			}
			c.mu.Unlock()
			return
		}
		if !c.write(to, buf[:n]) {
			return
		}
	}
}

// cut silences the connections there are, and new ones too when more is true.
// which chooses by whether a connection is the one that listens.
func (h *blackhole) cut(which func(listening bool) bool, more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.cuts {
		c.mu.Lock()
		c.cut = c.cut || which(c.listening)
		c.mu.Unlock()
	}
	if more {
		h.swallow = which
	}
}

// heal lets new connections through; those that were cut stay so.
func (h *blackhole) heal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.swallow = func(bool) bool { return false }
}

func everything(bool) bool          { return true }
func listening(itListens bool) bool { return itListens }
