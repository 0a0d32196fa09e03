package accesslog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/tenancy"
)

// progressSuffix ends the name of what is remembered of a file's delivery.
const progressSuffix = ".delivery"

// progress is how far a log file is delivered. It is on the disk before what
// it says is done, so that a process that goes on does the same again.
type progress struct {
	Offset int64  `json:"offset"` // ranges before are in Ranges or done
	Ranges []span `json:"ranges,omitempty"`
}

// span is a part of a file that is not delivered to everybody.
type span struct {
	Start   int64        `json:"start"`
	End     int64        `json:"end"`
	At      time.Time    `json:"at"`                // in the objects' names
	Buckets []tenancy.ID `json:"buckets,omitempty"` // whose lines are missing; empty: everybody's
	Tries   int          `json:"tries,omitempty"`
	Next    time.Time    `json:"next,omitzero"` // not before
}

func loadProgress(file string) (*progress, error) {
	b, err := os.ReadFile(file + progressSuffix)
	if errors.Is(err, os.ErrNotExist) {
		return &progress{}, nil
	}
	if err != nil {
		return nil, err
	}
	p := &progress{}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("%s%s: %w", file, progressSuffix, err)
	}
	return p, nil
}

// save replaces what was saved, whole or not at all.
func (p *progress) save(file string) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	next := file + progressSuffix + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if _, err := os.Stat(file); err != nil {
		return errors.Join(err, os.Remove(next)) // swept meanwhile
	}
	return disk.Rename(next, file+progressSuffix)
}

// over reports whether a file of that size is delivered whole.
func (p *progress) over(size int64) bool { return p.Offset >= size && len(p.Ranges) == 0 }
