package upstream_test

import (
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy/upstream"
)

// keepMany leaves n kept connections behind, of which the backend treats each as
// after says, by its number. ended has an element of each that the pool has closed.
func keepMany(t *testing.T, cfg upstream.Config, n int, after func(p *peer, i int) error) (p *upstream.Pool, ended chan int) {
	t.Helper()
	var all sync.WaitGroup
	all.Add(n)
	ended = make(chan int, n)
	treated := make(chan error, n)
	s := serve(t, func(p *peer, i int) {
		if _, _, err := p.request(); err != nil {
			return
		}
		if i <= n { // all at once, so that each has a connection of its own
			all.Done()
			all.Wait()
		}
		p.say(ok)
		treated <- errors.Join(p.delivered(), after(p, i))
		for {
			if _, _, err := p.request(); err != nil {
				ended <- i
				return
			}
			p.say(ok)
		}
	})
	cfg.Endpoints = []string{s.url}
	p = pool(t, cfg)
	var asked sync.WaitGroup
	for range n {
		asked.Go(func() {
			if status, _, err := do(t, p, get()); err != nil || status != 200 {
				t.Error(status, err)
			}
		})
	}
	asked.Wait()
	for range n {
		if err := <-treated; err != nil {
			t.Fatal(err)
		}
	}
	return p, ended
}

// TestReap: connections that nobody asks anything on any more are closed: those
// that the backend has closed or said something on, and those that are idle too
// long. The others are kept and used.
func TestReap(t *testing.T) {
	t.Parallel()
	const n = 150
	p, ended := keepMany(t, upstream.Config{ReapInterval: time.Hour, IdleTimeout: time.Hour}, n, func(p *peer, i int) error {
		switch i % 3 {
		case 0:
			return errors.Join(p.raw.CloseWrite(), p.delivered())
		case 1:
			_, err := io.WriteString(p.Conn, "HTTP/1.1 408 Request Timeout\r\n\r\n")
			return errors.Join(err, p.delivered())
		}
		return nil
	})
	if kept := upstream.ReapNow(p); kept != n/3 {
		t.Errorf("%d kept", kept)
	}
	for range n - n/3 {
		if i := <-ended; i%3 == 2 {
			t.Errorf("connection %d was closed", i)
		}
	}
	if kept := upstream.ReapNow(p); kept != n/3 {
		t.Errorf("%d kept by another look", kept)
	}
	if status, _, err := do(t, p, get()); err != nil || status != 200 {
		t.Error(status, err)
	}
	if kept := upstream.ReapNow(p); kept != n/3 {
		t.Errorf("%d kept after a request", kept)
	}
}

// TestReap_byItself: nobody has to ask for it.
func TestReap_byItself(t *testing.T) {
	t.Parallel()
	const n = 20
	_, ended := keepMany(t, upstream.Config{ReapInterval: time.Millisecond, IdleTimeout: time.Millisecond}, n, func(*peer, int) error { return nil })
	closed := 0
	testenv.WaitFor(t, "every connection to be closed", func() bool {
		for {
			select {
			case <-ended:
				closed++
			default:
				return closed == n
			}
		}
	})
}
