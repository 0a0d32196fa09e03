package product

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"sync"
	"time"

	"github.com/primecloudpro/primecloud/internal/devstack"
)

// Process is a running PrimeCloud: of `dev`, or of one of its parts.
type Process struct{ *devstack.Process }

// StartProcess returns when ready answers nil.
func StartProcess(ctx context.Context, cmd *exec.Cmd, ready func(context.Context) error) (*Process, error) {
	p, err := devstack.StartProcess(ctx, "the product", cmd, ready)
	return &Process{p}, err
}

// Stop asks it to end, and waits until it has. An end that was no success is an error.
func (p *Process) Stop() error {
	err := p.Process.Stop(time.Minute)
	return errors.Join(err, p.Err())
}

// Journal keeps what a process says.
type Journal struct {
	Also io.Writer // gets it as well; nil: nobody

	mu   sync.Mutex
	text bytes.Buffer
}

func (j *Journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.Also != nil {
		_, _ = j.Also.Write(b)
	}
	return j.text.Write(b)
}

func (j *Journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
