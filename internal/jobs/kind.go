package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// Queue is where jobs wait for the same workers. Jobs of one queue can hold each
// other up, those of two cannot: what takes minutes has another queue than what
// somebody waits for.
type Queue struct {
	Name    string // lower case, words joined by _
	Workers int    // how many of its jobs one process does at once, at least 1
}

// Kind is a kind of job with arguments, which encoding/json writes as an object.
// They are in river_job in the clear, for a day after the job is done and a week
// after its last failure: a job names what it works on, and a secret that it must
// carry is sealed (internal/secret). No log has them.
type Kind[T any] struct {
	Name    string // in the database: lower case, words joined by _
	Queue   Queue
	Timeout time.Duration // of one attempt: ends its ctx; required
	// Once leaves out a job while another of the kind with the same arguments is not over.
	Once bool
}

// Job is a Kind and its work.
type Job struct {
	kind    string
	queue   Queue
	timeout time.Duration
	work    func(ctx context.Context, args []byte) error
}

// Register says what is done for the jobs of a kind. A job whose work returns an
// error is tried again, six times within about ten minutes, and then given up. It
// may be done again after it was done: the process may die before it says so.
// Errors get into log and database: they must not name a secret.
func Register[T any](k Kind[T], work func(context.Context, T) error) Job {
	return Job{kind: k.Name, queue: k.Queue, timeout: k.Timeout, work: func(ctx context.Context, encoded []byte) error {
		var args T
		if json.Unmarshal(encoded, &args) != nil {
			return errArguments // the cause may quote them
		}
		return work(ctx, args)
	}}
}

var errArguments = errors.New("jobs: the arguments are none of this version's")

// attempts of one job, about ten minutes apart in all.
const attempts = 6

// InsertTx enqueues a job for each of args and returns how many there are more
// now. They run when tx is committed, and never when it is rolled back. tx is
// primecloud_worker's.
func (k Kind[T]) InsertTx(ctx context.Context, tx pgx.Tx, args ...T) (inserted int, err error) {
	if len(args) == 0 {
		return 0, nil
	}
	client, err := river.NewClient(riverpgxv5.New(nil), &river.Config{Logger: slog.New(slog.DiscardHandler)}) // it only inserts
	if err != nil {
		return 0, fmt.Errorf("jobs: %w", err)
	}
	options := &river.InsertOpts{Queue: k.Queue.Name, MaxAttempts: attempts}
	if k.Once {
		options.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: unfinished}
	}
	list := make([]river.InsertManyParams, len(args))
	for i := range args {
		encoded, err := json.Marshal(args[i])
		if err != nil {
			return 0, fmt.Errorf("jobs: %s: its arguments cannot be written", k.Name)
		}
		list[i] = river.InsertManyParams{Args: arguments{k.Name, encoded}, InsertOpts: options}
	}
	results, err := client.InsertManyTx(ctx, tx, list)
	if err != nil {
		return 0, fmt.Errorf("jobs: enqueue %s: %w", k.Name, err)
	}
	for _, r := range results {
		if !r.UniqueSkippedAsDuplicate {
			inserted++
		}
	}
	return inserted, nil
}

// arguments are a job's as River stores them; nil is an empty object.
type arguments struct {
	kind    string
	encoded json.RawMessage
}

func (a arguments) Kind() string { return a.kind }

func (a arguments) MarshalJSON() ([]byte, error) {
	if a.encoded == nil {
		return []byte("{}"), nil
	}
	return a.encoded, nil
}

// UnmarshalJSON fails for nothing: what cannot be read is the work's to say.
func (a *arguments) UnmarshalJSON(b []byte) error {
	a.encoded = append(json.RawMessage(nil), b...)
	return nil
}

// worker does the jobs of one kind.
type worker struct {
	river.WorkerDefaults[arguments]
	of      Job
	metrics *metrics
	log     *slog.Logger
}

func (w *worker) Timeout(*river.Job[arguments]) time.Duration { return w.of.timeout }

func (w *worker) Work(ctx context.Context, job *river.Job[arguments]) (err error) {
	started := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
			w.log.Error("job panicked", "job", w.of.kind, "error", err, "trace", string(debug.Stack()))
		}
		w.metrics.ran(w.of.kind, started, err == nil)
	}()
	return w.of.work(ctx, job.Args.encoded)
}

// panicked is what work panicked with, by its type: a value may hold arguments.
func panicked(p any) error {
	var r runtime.Error
	if err, ok := p.(error); ok && errors.As(err, &r) {
		return fmt.Errorf("jobs: panicked: %w", r)
	}
	return fmt.Errorf("jobs: panicked with a %T", p)
}
