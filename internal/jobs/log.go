package jobs

import (
	"context"
	"log/slog"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// failures are said where the operator looks.
type failures struct{ log *slog.Logger }

func (f *failures) HandleError(_ context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	what := "job failed; it is tried again"
	if job.Attempt >= job.MaxAttempts {
		what = "job failed for the last time"
	}
	f.log.Error(what, "job", job.Kind, "attempt", job.Attempt, "error", err)
	return nil
}

// HandlePanic is for River's own: what work panics with is an error (worker.Work).
func (f *failures) HandlePanic(_ context.Context, job *rivertype.JobRow, _ any, trace string) *river.ErrorHandlerResult {
	f.log.Error("job panicked; it is tried again", "job", job.Kind, "attempt", job.Attempt, "trace", trace)
	return nil
}

// quiet keeps River's own messages below the level of warnings out of the log.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(n string) slog.Handler      { return quiet{q.Handler.WithGroup(n)} }
