package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/primecloudpro/primecloud/internal/health"
)

// Service is one part of what a process runs.
type Service struct {
	Name string
	// Start begins the service and returns once it has begun; when it returns an
	// error, nothing of the service runs. ctx ends when the process begins to stop.
	// failed reports that the service has ended by itself, which stops the process.
	// nil: there is nothing to start.
	Start func(ctx context.Context, failed func(error)) error
	// Ready is closed once the service does its work; nil: it does when it has started.
	Ready <-chan struct{}
	// Checks say for /readyz how the service is now; none: nothing ever keeps it from its work.
	Checks []health.Check
	// Stop ends the service and returns when nothing of it runs any more. nil: nothing has to end.
	Stop func(ctx context.Context) error
}

// Background is a service that calls run and, to stop it, ends run's context. It
// lives until the services that were started after it have stopped.
func Background(name string, run func(context.Context) error) Service {
	return loop(name, run, context.WithoutCancel)
}

// Foreground is as Background, but run's context ends as soon as the process begins
// to stop: it takes on no new work while the others finish theirs.
func Foreground(name string, run func(context.Context) error) Service {
	return loop(name, run, func(ctx context.Context) context.Context { return ctx })
}

func loop(name string, run func(context.Context) error, life func(context.Context) context.Context) Service {
	var (
		cancel context.CancelFunc
		ended  = make(chan struct{})
		err    error // valid once ended is closed
	)
	return Service{
		Name: name,
		Start: func(ctx context.Context, failed func(error)) error {
			ctx, cancel = context.WithCancel(life(ctx)) //nolint:gosec // Stop calls it
			go func() {
				defer close(ended)
				if err = run(ctx); ctx.Err() == nil {
					if err == nil {
						err = errEnded
					}
					failed(err)
				}
			}()
			return nil
		},
		Stop: func(context.Context) error {
			cancel()
			<-ended
			return err
		},
	}
}

var errEnded = errors.New("it ended by itself")

// Closer is a resource that the services started after it use.
func Closer(name string, closeIt func() error) Service {
	return Service{Name: name, Stop: func(context.Context) error { return closeIt() }}
}

// Stack runs services: they start in the order in which they are pushed, and stop in
// reverse. Health is for any goroutine, the rest for one.
type Stack struct {
	log      *slog.Logger
	serving  context.Context // ends when the process begins to stop, with the reason as its cause
	stopping context.CancelCauseFunc

	mu      sync.Mutex
	started []Service
	state   health.Status // of the process as a whole
}

// NewStack returns an empty one. The process begins to stop when ctx ends, when a
// service fails, or when Stop is called.
func NewStack(ctx context.Context, log *slog.Logger) *Stack {
	s := &Stack{log: log, state: health.NotReady}
	s.serving, s.stopping = context.WithCancelCause(ctx)
	return s
}

// Push starts a service and waits until it is ready. It returns nil without that when
// the process has been told to stop.
func (s *Stack) Push(service Service) error {
	if service.Start != nil {
		if err := service.Start(s.serving, func(err error) { s.stopping(&failure{service.Name, err}) }); err != nil {
			return &failure{service.Name, err}
		}
	}
	s.mu.Lock()
	s.started = append(s.started, service)
	s.mu.Unlock()
	if service.Ready == nil {
		return nil
	}
	late := time.NewTimer(readyTimeout)
	defer late.Stop()
	select {
	case <-service.Ready:
		return nil
	case <-s.serving.Done():
		return s.Wait()
	case <-late.C:
		return &failure{service.Name, fmt.Errorf("it is not ready after %s", readyTimeout)}
	}
}

// readyTimeout bounds how long a service may take from its start until it does its work.
const readyTimeout = 30 * time.Second

// Serving says that all services are there.
func (s *Stack) Serving() { s.setState(health.Ready) }

// Draining says that the process is going to stop, while everything still works.
func (s *Stack) Draining() { s.setState(health.Draining) }

// Wait returns when the process begins to stop: nil when its context ended, else the
// failure of a service.
func (s *Stack) Wait() error {
	<-s.serving.Done()
	if failed := (*failure)(nil); errors.As(context.Cause(s.serving), &failed) {
		return failed
	}
	return nil
}

// failure is a service's error, and the reason why the process stops.
type failure struct {
	service string
	err     error
}

func (f *failure) Error() string { return f.service + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Stop stops every service that has started, the last one first, whatever fails
// meanwhile. It logs each error, and returns all of them.
func (s *Stack) Stop(ctx context.Context) error {
	s.Draining()
	s.stopping(nil)
	reason := context.Cause(s.serving)
	var errs []error
	for services := s.list(); len(services) > 0; services = services[:len(services)-1] {
		service := services[len(services)-1]
		if service.Stop == nil {
			continue
		}
		err := service.Stop(ctx)
		if err == nil || errors.Is(reason, err) {
			continue // or Wait has returned it
		}
		s.log.Error("a service did not stop in order", "service", service.Name, "error", err)
		errs = append(errs, &failure{service.Name, err})
	}
	return errors.Join(errs...)
}

// Health asks the checks of every service, and says how the process is as a whole.
func (s *Stack) Health() health.Report {
	s.mu.Lock()
	state := s.state
	s.mu.Unlock()
	var checks []health.Check
	if state == health.NotReady {
		checks = append(checks, health.Check{Name: "start", Look: func() health.Result { return health.Bad("This node is starting.") }})
	}
	for _, service := range s.list() {
		checks = append(checks, service.Checks...)
	}
	r := health.Look(checks)
	if state == health.Draining {
		r.Status = state
	}
	return r
}

func (s *Stack) setState(state health.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

func (s *Stack) list() []Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started[:len(s.started):len(s.started)]
}
