package accesslog

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Sweep deletes files beyond KeepAge and KeepSize, the oldest first. Those
// with lines to deliver stay until MaxSize.
func (l *Log) Sweep() {
	if err := l.sweep(); err != nil {
		l.metrics.failures.Inc()
		l.cfg.Logger.Error("old access log files are not deleted", "error", err)
	}
}

func (l *Log) sweep() error {
	files, err := Files(l.cfg.Dir)
	if err != nil {
		return err
	}
	current, all := l.current(), int64(0)
	for _, b := range []budget{
		{kind: ofProven, keep: l.cfg.KeepSize, most: l.cfg.MaxSize, delivered: true},
		{kind: ofUnproven, keep: l.cfg.UnprovenSize, most: l.cfg.UnprovenSize, delivered: true},
		{kind: ofSums, keep: sumsSize, most: sumsSize},
	} {
		ofKind := slices.DeleteFunc(slices.Clone(files), func(f string) bool { return kindOf(f) != b.kind })
		total, err := l.sweepKind(&b, ofKind, current)
		if err != nil {
			return err
		}
		all += total
	}
	l.metrics.bytes.Set(float64(all))
	return l.sweepProgress()
}

// sumsSize bounds the files of sums. An hour of one cell is 300 KB of them.
const sumsSize = 256 << 20

// budget is what the files of a kind may take: beyond keep the delivered ones
// go, beyond most any.
type budget struct {
	kind       string
	keep, most int64
	delivered  bool // some of their lines are to be delivered
}

func (l *Log) sweepKind(b *budget, files, current []string) (total int64, err error) {
	sizes := make([]int64, len(files))
	for i, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return 0, err
		}
		sizes[i] = info.Size()
		total += sizes[i]
	}
	now := l.cfg.Now()
	for i, file := range files {
		name, _ := parseName(filepath.Base(file))
		if slices.Contains(current, file) || now.Sub(name.hour) <= l.cfg.KeepAge && total <= b.keep {
			continue
		}
		if b.delivered && l.undelivered != nil && l.undelivered(file) {
			if total <= b.most {
				continue
			}
			l.lost(b, file, total)
		}
		if err := remove(file); err != nil {
			return total, err
		}
		total -= sizes[i]
	}
	return total, nil
}

// lost says that a file goes before it is delivered whole. Of strangers' files
// that is no more than expected when there is a flood of them.
func (l *Log) lost(b *budget, file string, total int64) {
	lost, level := l.metrics.lost, slog.LevelError
	if b.kind == ofUnproven {
		lost, level = l.metrics.lostUnproven, slog.LevelWarn
	}
	lost.Inc()
	l.cfg.Logger.Log(context.Background(), level, "an access log file is deleted that was not delivered whole: the folder has reached its bound",
		"file", filepath.Base(file), "bytes", total, "bound", b.most)
}

// sweepProgress deletes what is remembered of files that are gone: a delivery
// may have written it down while its file was deleted.
func (l *Log) sweepProgress() error {
	notes, err := filepath.Glob(filepath.Join(l.cfg.Dir, "*"+fileSuffix+progressSuffix))
	if err != nil {
		return err
	}
	for _, note := range notes {
		if _, err := os.Stat(strings.TrimSuffix(note, progressSuffix)); os.IsNotExist(err) {
			if err := os.Remove(note); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove deletes a file and what is remembered of its delivery.
func remove(file string) error {
	if err := os.Remove(file + progressSuffix); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Remove(file)
}
