// Package devstack runs the servers that PrimeCloud stands between, as child
// processes: PostgreSQL and MinIO, on loopback, on free ports, without any
// configuration. `primecloud dev` and the tests use the same code.
//
// A child never outlives its parent: the kernel signals it when the parent
// dies, however it dies.
package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a running server.
type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how, after done
	tail *tail
}

// start runs cmd. The goroutine keeps its thread for as long as the child
// lives: the kernel sends the parent-death signal when the thread that forked
// ends, not the process.
func start(name string, cmd *exec.Cmd, deathSignal syscall.Signal, log io.Writer) (*child, error) {
	c := &child{name: name, cmd: cmd, done: make(chan struct{}), tail: &tail{}}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = deathSignal
	// Its own group: Ctrl-C in a terminal is for the parent to pass on.
	cmd.SysProcAttr.Setpgid = true
	var out io.Writer = c.tail
	if log != nil {
		out = io.MultiWriter(c.tail, log)
	}
	if cmd.Stdout == nil {
		cmd.Stdout, cmd.Stderr = out, out
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return c, nil
}

// errHopeless is for a child that runs and will never be ready.
var errHopeless = errors.New("it cannot serve")

// wait asks ready until it answers nil; it fails when the child ends first, and when
// ready says errHopeless.
func (c *child) wait(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, errHopeless) {
			c.kill()
			return fmt.Errorf("%s: %w", c.name, err)
		}
		select {
		case <-c.done:
			return fmt.Errorf("%s ended before it was ready (%w): %s", c.name, c.err, c.tail)
		case <-ctx.Done():
			c.kill()
			return fmt.Errorf("%s was not ready in time: %w: %s", c.name, err, c.tail)
		case <-tick.C:
		}
	}
}

func (c *child) running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// stop signals the child and waits; after the grace it is killed.
func (c *child) stop(signal syscall.Signal, grace time.Duration) error {
	if !c.running() {
		return nil
	}
	if err := c.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-time.After(grace):
		c.kill()
		return fmt.Errorf("%s did not stop in %s and was killed", c.name, grace)
	}
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// tail keeps the last lines of a child's output for error messages.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*tailSize {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(bytes.ToValidUTF8(t.buf, nil)))
}

// FreePort is a port of loopback that nobody listens on. It is below those that the
// kernel gives to outgoing connections, one of which could else have it before the
// server does. Another server may still be faster: callers try again.
func FreePort() (int, error) {
	const first = 10_000
	end := first
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(b), &end)
	}
	for range 100 {
		port := 0 // the kernel's choice, where it leaves us no others
		if end > first {
			port = first + rand.IntN(end-first)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return l.Addr().(*net.TCPAddr).Port, l.Close()
		}
	}
	return 0, errors.New("no port of loopback is free")
}
