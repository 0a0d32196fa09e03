package accesslog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/primecloudpro/primecloud/tenancy"
)

// fileSuffix ends the names of log files.
const fileSuffix = ".jsonl"

// maxLine is more than any line has, also of those that earlier versions wrote
// without bounds: a request's head is bounded, and escapes make six bytes of one.
const maxLine = 1 << 20

// ErrTorn is the end of a file without a line feed: its process was killed in
// the middle of a write, or is writing now.
var ErrTorn = errors.New("accesslog: the last line is torn")

// DamageError is a line that cannot be read. Reading goes on behind it.
type DamageError struct {
	File        string
	Offset, End int64
	Err         error // ErrTorn, or why it is no line
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s at byte %d: %v", e.File, e.Offset, e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }

// Entry is a line: either a Record or, where Dropped is set, what says that
// lines are missing here, or where Sum is set, what the ledger has of requests
// that nobody proved.
type Entry struct {
	File        string
	Offset, End int64 // of the line in the file, End behind its line feed
	Record      Record
	Dropped     *Dropped
	Sum         *Sum
	Epoch       tenancy.ID // of the process, as the file's name says; zero: it says nothing
	// Summed: the record is of a file whose requests are in a Sum of the epoch,
	// but for those that ended after its last one. Whoever adds up adds one of the two.
	Summed bool
}

// IsRecord reports whether the line is a request's.
func (e *Entry) IsRecord() bool { return e.Dropped == nil && e.Sum == nil }

// Files returns the log files that paths name or, being folders, hold, in the
// order of their hours. Of one node that is the order of writing.
func Files(paths ...string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("the access log %q cannot be read (%w); name a folder of access log files, or one of them", path, err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if _, ok := parseName(e.Name()); ok {
				files = append(files, filepath.Join(path, e.Name()))
			}
		}
	}
	slices.SortStableFunc(files, byHour)
	return files, nil
}

// Read yields the lines of log files and of folders of them, in the order of
// Files. Damaged lines come as a *DamageError beside a nil entry, and reading
// goes on; after any other error it ends. Entries are the caller's.
func Read(paths ...string) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		files, err := Files(paths...)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, file := range files {
			for e, err := range ReadFrom(file, 0) {
				var damage *DamageError
				if !yield(e, err) || err != nil && !errors.As(err, &damage) {
					return
				}
			}
		}
	}
}

// ReadFrom is Read for one file from an offset on, at which a line begins.
func ReadFrom(file string, offset int64) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		f, err := os.Open(file)
		if err == nil {
			defer f.Close()
			_, err = f.Seek(offset, io.SeekStart)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		name, _ := parseName(filepath.Base(file))
		lines := &lineReader{r: bufio.NewReaderSize(f, 64<<10)}
		for {
			line, n, err := lines.next()
			if n == 0 && errors.Is(err, io.EOF) {
				return
			}
			damage := err
			e := &Entry{File: file, Offset: offset, End: offset + n, Epoch: name.epoch, Summed: name.kind == ofUnproven}
			switch {
			case errors.Is(err, io.EOF):
				damage = ErrTorn
			case err == nil:
				damage = e.decode(line)
			case !errors.Is(err, errLongLine):
				yield(nil, fmt.Errorf("accesslog: read %s: %w", file, err))
				return
			}
			if damage != nil {
				e, damage = nil, &DamageError{File: file, Offset: offset, End: offset + n, Err: damage}
			}
			if !yield(e, damage) || errors.Is(err, io.EOF) {
				return
			}
			offset += n
		}
	}
}

func (e *Entry) decode(line []byte) error {
	// Only a marker has no status: a record always does.
	if !bytes.Contains(line, []byte(`"status":`)) {
		switch {
		case bytes.Contains(line, []byte(`"dropped":`)):
			e.Dropped = &Dropped{}
			return json.Unmarshal(line, e.Dropped)
		case bytes.Contains(line, []byte(`"left_out":`)):
			e.Sum = &Sum{}
			return json.Unmarshal(line, e.Sum)
		}
	}
	if err := json.Unmarshal(line, &e.Record); err != nil {
		return err
	}
	if e.Record.Status == 0 || e.Record.Time.IsZero() {
		return errNoRecord
	}
	return nil
}

var (
	errNoRecord = errors.New("accesslog: the line is neither a request nor a marker")
	errLongLine = errors.New("accesslog: the line is too long")
)

// lineReader reads lines of bounded length.
type lineReader struct {
	r   *bufio.Reader
	buf []byte
}

// next returns a line without its end, valid until the next call, and how many
// bytes it took from the file. Of a line that is too long nothing is kept.
func (l *lineReader) next() (line []byte, n int64, err error) {
	l.buf = l.buf[:0]
	for {
		piece, err := l.r.ReadSlice('\n')
		n += int64(len(piece))
		if len(l.buf) <= maxLine {
			l.buf = append(l.buf, piece...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err == nil && len(l.buf) > maxLine {
			err = errLongLine
		}
		return bytes.TrimSuffix(l.buf, []byte{'\n'}), n, err
	}
}
