package accesslog

import (
	"os"
	"path/filepath"
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
	sizes, total := make([]int64, len(files)), int64(0)
	for i, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		sizes[i] = info.Size()
		total += sizes[i]
	}
	current, now := l.current(), l.cfg.Now()
	for i, file := range files {
		name, _ := parseName(filepath.Base(file))
		if file == current || now.Sub(name.hour) <= l.cfg.KeepAge && total <= l.cfg.KeepSize {
			continue
		}
		if l.undelivered != nil && l.undelivered(file) {
			if total <= l.cfg.MaxSize {
				continue
			}
			l.metrics.lost.Inc()
			l.cfg.Logger.Error("an access log file is deleted that was not delivered whole: the folder has reached its bound",
				"file", filepath.Base(file), "bytes", total, "bound", l.cfg.MaxSize)
		}
		if err := remove(file); err != nil {
			return err
		}
		total -= sizes[i]
	}
	l.metrics.bytes.Set(float64(total))
	return l.sweepProgress()
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
