package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// Periodic is work that is due at each multiple of Every since 1970, UTC, and
// once when a leader is elected. It must bring things to where they should be
// by now, whatever was missed: nothing else depends on a process being up at a
// certain moment. Work that is still running, or waits to be tried again, is
// not begun a second time. A process that was cut off may still be working
// when another begins: what Work writes must bear that.
type Periodic struct {
	Kind    string        // its name in the database: lower case, words joined by _
	Every   time.Duration // at least 1 s
	Timeout time.Duration // ends ctx; 0: Every
	Work    func(ctx context.Context) error
}

// job is the work as a job without arguments.
func (p Periodic) job() Job {
	timeout := p.Timeout
	if timeout == 0 {
		timeout = p.Every
	}
	return Job{kind: p.Kind, timeout: timeout, work: func(ctx context.Context, _ []byte) error { return p.Work(ctx) }}
}

// schedule is when the leader enqueues it.
func (p Periodic) schedule() *river.PeriodicJob {
	return river.NewPeriodicJob(aligned(p.Every), func() (river.JobArgs, *river.InsertOpts) {
		return arguments{kind: p.Kind}, &river.InsertOpts{MaxAttempts: attempts, UniqueOpts: river.UniqueOpts{ByState: unfinished, ByQueue: true}}
	}, &river.PeriodicJobOpts{ID: p.Kind, RunOnStart: true})
}

// unfinished are the states of a job that is not over: there is one at most.
var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
}

// aligned is due at multiples of itself, so that a change of leader does not
// move the moments.
type aligned time.Duration

func (a aligned) Next(now time.Time) time.Time {
	return now.UTC().Truncate(time.Duration(a)).Add(time.Duration(a))
}
