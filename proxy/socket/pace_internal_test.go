package socket

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
)

// A pace holds at every time for every client that there may be: who has moved
// too little in a window is found at most a part of one later, whatever was
// moved before, and who has not is left alone.
func TestPace_look(t *testing.T) {
	t.Parallel()
	const window, rate = 30 * time.Second, 1 << 10
	enough := float64(rate) * window.Seconds()
	slow, kept := 0, 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := Pace{Rate: rate, Window: window}
		at, arrived := []time.Duration{0}, []int64{0} // the end of each wait
		usual := r.Int64N(2 * rate)                   // bytes a second, about
		for range 400 {
			wait := time.Duration(r.Int64N(int64(time.Second) << r.IntN(4)))
			moved := int64(float64(usual) * wait.Seconds() * r.Float64() * 2)
			if r.IntN(40) == 0 {
				moved += r.Int64N(1 << 30 >> r.IntN(30))
			}
			k := len(at)
			at, arrived = append(at, at[k-1]+wait), append(arrived, arrived[k-1]+moved)
			err := p.look(wait, arrived[k])
			var inWindow, inMore bool // a window with too little in it, one that is a part longer
			for j := range k {
				if float64(arrived[k]-arrived[j]) < enough {
					inWindow = inWindow || at[k]-at[j] >= window
					inMore = inMore || at[k]-at[j] >= window+window/parts
				}
			}
			switch {
			case err != nil && !inWindow:
				t.Fatalf("%d: cut after %s with enough in every window", seed, at[k])
			case err == nil && inMore:
				t.Fatalf("%d: not cut after %s with too little in a window", seed, at[k])
			}
			if err != nil {
				slow++
				break
			}
			kept++
		}
	}
	if slow < 100 || kept < 10000 {
		t.Errorf("%d were cut, %d looks found nothing", slow, kept)
	}
}

// Whatever was moved before, and however the rest trickles, a call that waits
// too long ends with ErrSlow.
func TestConn_KeepReading(t *testing.T) {
	t.Parallel()
	for name, burst := range map[string]int{"from the beginning": 0, "after much": 4 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, other := Pair(t)
			// How long the other side is kept from sending by this machine is no part of it.
			p := Pace{Rate: 1 << 20, Window: time.Hour}
			c.KeepReading(&p)
			stop := make(chan struct{})
			defer close(stop)
			go func() {
				_, _ = other.Write(make([]byte, burst))
				for tick := time.NewTicker(5 * time.Millisecond); ; {
					select {
					case <-tick.C:
						_, _ = other.Write([]byte{1})
					case <-stop:
						return
					}
				}
			}()
			r := struct{ io.Reader }{c}
			if _, err := io.CopyN(io.Discard, r, int64(burst)); err != nil {
				t.Fatal(err)
			}
			p.Window = 120 * time.Millisecond
			c.KeepReading(&p)
			if n, err := io.Copy(io.Discard, r); !errors.Is(err, ErrSlow) {
				t.Errorf("%d bytes more, %v", n, err)
			}
			// The next body begins anew.
			p.Reset()
			p.Window = time.Hour
			c.KeepReading(&p)
			if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Errorf("afterwards: %d, %v", n, err)
			}
		})
	}
	t.Run("what waits between two calls counts for nobody", func(t *testing.T) {
		t.Parallel()
		c, other := Pair(t)
		p := Pace{Rate: 1 << 20, Window: time.Minute}
		c.KeepReading(&p)
		go func() { _, _ = other.Write([]byte{1}) }()
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			_ = c.tcp.SetReadDeadline(time.Unix(1, 0)) // as one that was ours, and has passed since
			go func() { _, _ = other.Write([]byte{1}) }()
			if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
		}
	})
	t.Run("a deadline takes its place", func(t *testing.T) {
		t.Parallel()
		c, _ := Pair(t)
		c.KeepReading(&Pace{Rate: 1, Window: time.Hour})
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

// A reader that takes little at a time is not slow while the kernel takes
// nothing more of us: that is because it took so much before.
func TestConn_KeepWriting(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	for name, send := range map[string]func(c *Conn) (int64, error){
		"Write": func(c *Conn) (int64, error) {
			n, err := c.Write(make([]byte, size))
			return int64(n), err
		},
		"Splice": func(c *Conn) (int64, error) {
			from, source := Pair(t)
			go func() { _, _ = source.Write(make([]byte, size)) }()
			var all int64
			for all < size {
				n, err := c.Splice(from, size-all)
				if all += n; err != nil {
					return all, err
				}
			}
			return all, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, sink := Pair(t)
			if err := errors.Join(sink.SetReadBuffer(16<<10), c.tcp.SetWriteBuffer(1<<20)); err != nil {
				t.Fatal(err)
			}
			p := Pace{Rate: 10 << 10, Window: 60 * time.Millisecond}
			c.KeepWriting(&p)
			looks, piece := 0, make([]byte, 32<<10)
			c.out.pending = func() int64 {
				looks++
				before := c.unacknowledged()
				if looks <= 60 { // then it stops
					if _, err := io.ReadFull(sink, piece); err != nil {
						t.Error(err)
					}
					testenv.WaitFor(t, "what was read to be acknowledged", func() bool { return c.unacknowledged() < before })
				}
				return c.unacknowledged()
			}
			if n, err := send(c); !errors.Is(err, ErrSlow) || looks <= 60 || n == 0 {
				t.Errorf("%d bytes, %d looks, %v", n, looks, err)
			}
		})
	}
}

// Whoever takes bytes ahead is left alone while his average is the rate: as a
// host does whose application reads slowly, and that says so in large steps only.
// He who stops is cut when what he took ahead is used up, whatever he took before.
func TestPace_ahead(t *testing.T) {
	t.Parallel()
	const window, rate, ahead = 30 * time.Second, 1 << 10, 480 << 10
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := Pace{Rate: rate, Window: window, Ahead: ahead}
		arrived := r.Int64N(1 << (20 + r.IntN(14)))
		step := rate*int64(window.Seconds()) + r.Int64N(ahead-2*rate*int64(window.Seconds()))
		arrived += step // what its room takes first
		pause := time.Duration(float64(step) / rate * float64(time.Second) * (0.2 + 0.79*r.Float64()))
		for range 50 {
			for left := pause; left > 0; {
				wait := min(left, time.Duration(r.Int64N(int64(p.patience()))))
				left -= wait
				if left == 0 {
					arrived += step
				}
				if err := p.look(wait, arrived); err != nil {
					t.Fatalf("%d: cut with %d bytes every %s: %v", seed, step, pause, err)
				}
			}
		}
		var silent time.Duration
		for p.look(p.patience(), arrived) == nil {
			if silent += p.patience(); silent > time.Second*ahead/rate+window+p.patience() {
				t.Fatalf("%d: not cut after %s of silence", seed, silent)
			}
		}
	}
}
