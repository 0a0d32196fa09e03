package devstack

import (
	"context"
	"os/exec"
	"syscall"
	"time"
)

// Process is any other server as a child: what it is measured against, or the
// product itself.
type Process struct{ child *child }

// StartProcess runs cmd, whose output may be directed to a file, and waits
// until ready answers nil.
func StartProcess(ctx context.Context, name string, cmd *exec.Cmd, ready func(context.Context) error) (*Process, error) {
	c, err := start(name, cmd, syscall.SIGTERM, nil)
	if err != nil {
		return nil, err
	}
	return &Process{c}, c.wait(ctx, ready)
}

// Pid is its process id, for measurements.
func (p *Process) Pid() int { return p.child.cmd.Process.Pid }

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.child.done }

// Err is how it ended, after Done.
func (p *Process) Err() error { return p.child.err }

// Stop asks it to end, and kills it after the grace.
func (p *Process) Stop(grace time.Duration) error { return p.child.stop(syscall.SIGTERM, grace) }
