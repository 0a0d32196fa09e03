package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// relay stands between gateways and one of the servers they use.
type relay struct {
	listener net.Listener
	serve    func(r *relay, client net.Conn)
	serving  sync.WaitGroup
}

func newRelay(t *testing.T, serve func(r *relay, client net.Conn)) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, serve: serve}
	r.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.serving.Go(func() { r.serve(r, c) })
		}
	})
	t.Cleanup(func() { _ = l.Close() })
	return r
}

func (r *relay) addr() string { return r.listener.Addr().String() }

// end returns when every connection has been read to its end: those who made
// them have ended.
func (r *relay) end() {
	_ = r.listener.Close()
	r.serving.Wait()
}

// markHeader names an upload; the gateway passes it on with the object.
const markHeader = "X-Amz-Meta-Mark"

// uploads relays to MinIO and counts, by mark, the body bytes that a gateway
// has written: a gateway counts a piece of an upload before it writes it, so
// what is read here was counted there, and beyond it at most one piece.
type uploads struct {
	*relay
	target string
	mu     sync.Mutex
	bytes  map[string]int64
}

func newUploads(t *testing.T, target string) *uploads {
	t.Helper()
	u := &uploads{target: target, bytes: map[string]int64{}}
	u.relay = newRelay(t, u.pass)
	return u
}

// written is what the gateway has written of an upload's body, after end.
func (u *uploads) written(mark string) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.bytes[mark]
}

func (u *uploads) pass(relay *relay, client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", u.target)
	if err != nil {
		return
	}
	defer server.Close()
	relay.serving.Go(func() { // answers: from socket to socket in the kernel
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	r := bufio.NewReaderSize(client, 64<<10)
	to := io.Writer(server)
	buf := make([]byte, 256<<10)
	for {
		head, mark, length, err := readHead(r)
		if err != nil {
			return
		}
		if _, err := to.Write(head); err != nil {
			to = io.Discard // what the gateway writes is counted all the same
		}
		for length > 0 {
			n, err := r.Read(buf[:min(int64(len(buf)), length)])
			length -= int64(n)
			u.mu.Lock()
			u.bytes[mark] += int64(n)
			u.mu.Unlock()
			if err != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				to = io.Discard
			}
		}
	}
}

// readHead reads a request's head.
func readHead(r *bufio.Reader) (head []byte, mark string, length int64, err error) {
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, "", 0, err
		}
		head = append(head, line...)
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		switch {
		case strings.EqualFold(name, markHeader):
			mark = strings.TrimSpace(value)
		case strings.EqualFold(name, "Content-Length"):
			if length, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
				return nil, "", 0, err
			}
		case bytes.Equal(line, []byte("\r\n")):
			return head, mark, length, nil
		}
	}
}

// network is the way to a PostgreSQL. It can fall silent: nothing is passed
// on, nothing is closed, and when it is back everything arrives, late.
type network struct {
	*relay
	silent sync.RWMutex // held for reading while something is passed on
	mu     sync.Mutex
	target string
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{}
	n.relay = newRelay(t, func(relay *relay, client net.Conn) {
		defer client.Close()
		n.mu.Lock()
		target := n.target
		n.mu.Unlock()
		server, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		defer server.Close()
		relay.serving.Go(func() {
			n.copy(client, server)
			_ = client.Close()
		})
		n.copy(server, client)
	})
	return n
}

func (n *network) copy(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		k, err := from.Read(buf)
		n.silent.RLock()
		if k > 0 {
			_, _ = to.Write(buf[:k])
		}
		n.silent.RUnlock()
		if err != nil {
			return
		}
	}
}

// to sends new connections to another address.
func (n *network) to(addr string) {
	n.mu.Lock()
	n.target = addr
	n.mu.Unlock()
}

// database is a PostgreSQL of the test's own, behind a network.
type database struct {
	t       *testing.T
	dir     string
	network *network
	server  *devstack.Postgres
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	d := &database{t: t, dir: t.TempDir() + "/data", network: newNetwork(t)}
	d.start()
	return d
}

func (d *database) start() {
	d.t.Helper()
	d.server = testenv.OwnPostgres(d.t, d.dir)
	d.network.to(d.server.Addr()) // each start has another port
}

// url is the database as a role sees it; the empty one is the superuser.
func (d *database) url(role string) string {
	return d.server.URLAt(d.network.addr(), role, "postgres")
}
