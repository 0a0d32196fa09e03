package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/internal/node"
)

// recorder notes what services do, in order.
type recorder struct{ did []string }

func (r *recorder) service(name string, startError, stopError error) node.Service {
	return node.Service{Name: name,
		Start: func(context.Context, func(error)) error {
			if startError == nil {
				r.did = append(r.did, "start "+name)
			}
			return startError
		},
		Stop: func(context.Context) error {
			r.did = append(r.did, "stop "+name)
			return stopError
		},
	}
}

// Services start in order and stop in reverse; the one that did not start, and those
// after it, are not stopped.
func TestStack_startFails(t *testing.T) {
	t.Parallel()
	var r recorder
	s := node.NewStack(t.Context(), slog.New(slog.DiscardHandler))
	for _, name := range []string{"a", "b"} {
		if err := s.Push(r.service(name, nil, nil)); err != nil {
			t.Fatal(err)
		}
	}
	broken := errors.New("broken")
	if err := s.Push(r.service("c", broken, nil)); !errors.Is(err, broken) || err.Error() != "c: broken" {
		t.Errorf("Push: %v", err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if want := []string{"start a", "start b", "stop b", "stop a"}; !slices.Equal(r.did, want) {
		t.Errorf("it did %q, want %q", r.did, want)
	}
}

// Ten services that all fail to stop are all stopped, logged and reported.
func TestStack_stopFails(t *testing.T) {
	t.Parallel()
	var r recorder
	var log bytes.Buffer
	s := node.NewStack(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
	for i := range 10 {
		if err := s.Push(r.service(fmt.Sprint("service", i), nil, fmt.Errorf("reason%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	err := s.Stop(t.Context())
	for i := range 10 {
		text := fmt.Sprintf("service%d: reason%d", i, i)
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in %v", text, err)
		}
		if !strings.Contains(log.String(), fmt.Sprintf("service=service%d error=reason%d", i, i)) {
			t.Errorf("%q is not in the log:\n%s", text, &log)
		}
	}
	if len(r.did) != 20 || r.did[19] != "stop service0" {
		t.Errorf("it did %q", r.did)
	}
}

// A service that ends by itself stops the process, and its error is reported once.
func TestStack_serviceFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		ends error
		want string
	}{
		"with an error": {broken, "part: broken"},
		"without one":   {nil, "part: it ended by itself"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := node.NewStack(t.Context(), slog.New(slog.DiscardHandler))
			for _, service := range []node.Service{
				node.Background("before", func(ctx context.Context) error { <-ctx.Done(); return nil }),
				node.Background("part", func(context.Context) error { return c.ends }),
				node.Foreground("after", func(ctx context.Context) error { <-ctx.Done(); return nil }),
			} {
				if err := s.Push(service); err != nil && err.Error() != c.want {
					t.Fatal(err)
				}
			}
			if err := errors.Join(s.Wait(), s.Stop(t.Context())); err == nil || err.Error() != c.want {
				t.Errorf("%v, want %q once", err, c.want)
			}
		})
	}
}

// A service in the foreground ends as soon as the process begins to stop; one in the
// background lives until those after it have stopped.
func TestStack_order(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := node.NewStack(ctx, slog.New(slog.DiscardHandler))
	foreground, background := make(chan struct{}), make(chan struct{})
	for _, service := range []node.Service{
		node.Foreground("foreground", func(ctx context.Context) error { <-ctx.Done(); close(foreground); return nil }),
		node.Background("background", func(ctx context.Context) error { <-ctx.Done(); close(background); return nil }),
		node.Closer("last", func() error {
			<-foreground
			select {
			case <-background:
				return errors.New("what it uses has stopped already")
			default:
				return nil
			}
		}),
	} {
		if err := s.Push(service); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := errors.Join(s.Wait(), s.Stop(context.WithoutCancel(ctx))); err != nil {
		t.Error(err)
	}
	<-background
}

// While a service is not ready nothing starts after it, and /readyz names it; one that
// never is ends the start, and does not keep the process from stopping.
func TestStack_ready(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := node.NewStack(ctx, slog.New(slog.DiscardHandler))
		ready, pushed := make(chan struct{}), make(chan error, 1)
		push := func(service node.Service) {
			go func() { pushed <- s.Push(service) }()
			synctest.Wait() // it has returned, or waits
		}
		missing := func(want ...string) {
			t.Helper()
			var got []string
			for _, c := range s.Health().Checks {
				if !c.OK {
					got = append(got, c.Reason)
				}
			}
			if !slices.Equal(got, want) || s.Health().Status != health.NotReady {
				t.Errorf("missing %q, want %q", got, want)
			}
		}
		push(node.Service{Name: "slow", Ready: ready, Checks: []health.Check{{Name: "heat", Look: func() health.Result { return health.Bad("It warms up.") }}}})
		if len(pushed) > 0 {
			t.Error("Push returned before the service was ready")
		}
		missing("This node is starting.", "It warms up.")
		close(ready)
		if err := <-pushed; err != nil {
			t.Error(err)
		}
		s.Serving()
		missing("It warms up.")

		began := time.Now()
		push(node.Service{Name: "late", Ready: make(chan struct{})})
		if err := <-pushed; err == nil || err.Error() != "late: it is not ready after 30s" || time.Since(began) != 30*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		push(node.Service{Name: "never", Ready: make(chan struct{})})
		cancel()
		if err := <-pushed; err != nil {
			t.Error(err)
		}
		if err := s.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
}
