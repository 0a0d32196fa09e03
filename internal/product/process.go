package product

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Process is a child that dies with this one.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// StartProcess starts cmd in a group of its own. The goroutine keeps its thread:
// the kernel signals the child when the thread that forked ends.
func StartProcess(cmd *exec.Cmd) (*Process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	q := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			q.err = cmd.Wait()
			close(q.done)
		}
	}()
	return q, <-started
}

// Done is closed when it has ended.
func (q *Process) Done() <-chan struct{} { return q.done }

// Err is how it ended, after Done.
func (q *Process) Err() error { return q.err }

// Pid is its process id.
func (q *Process) Pid() int { return q.cmd.Process.Pid }

// Stop asks it to end, and waits until it has.
func (q *Process) Stop() error {
	_ = q.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-q.done:
		return q.err
	case <-time.After(time.Minute):
		_ = q.cmd.Process.Kill()
		<-q.done
		return errors.New("the product did not end within a minute of SIGTERM")
	}
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
