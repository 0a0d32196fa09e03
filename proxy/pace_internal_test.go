package proxy

import (
	"errors"
	"testing"
	"time"
)

// What an account's transfer rate holds back is not slowness of its client.
func TestPace_rest(t *testing.T) {
	t.Parallel()
	l := &Limits{}
	l.setDefaults()
	deadline := func(time.Time) error { return nil }
	fresh := pace{}
	fresh.rest(time.Hour)
	if err := fresh.step(l, deadline); err != nil {
		t.Errorf("a wait before the first byte: %v", err)
	}
	p := pace{started: time.Now().Add(-time.Hour), moved: 100}
	if err := p.step(l, deadline); !errors.Is(err, errSlow) {
		t.Errorf("100 bytes in an hour: %v", err)
	}
	p.rest(time.Hour)
	if err := p.step(l, deadline); err != nil {
		t.Errorf("of which all was our doing: %v", err)
	}
}
