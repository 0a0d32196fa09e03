// Package oplog makes the log for the operator fit for what others have chosen:
// no text is longer than a bound or has a control character, and no message is
// written more often than a rate.
package oplog

import (
	"cmp"
	"context"
	"encoding"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config configures New. Zero fields take the default named.
type Config struct {
	// Rate is how many lines of one message at level info and above are written
	// each second; 10. Burst is how many at once; 100. What is left out is said
	// by the next line of that message, in left_out, and counted.
	Rate, Burst int
	Metrics     prometheus.Registerer // nil: none
	Now         func() time.Time      // time.Now
}

// New makes a handler that bounds records and hands them on to h.
func New(h slog.Handler, cfg Config) slog.Handler {
	cfg.Rate, cfg.Burst = cmp.Or(cfg.Rate, 10), cmp.Or(cfg.Burst, 100)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &rateLimiter{cfg: cfg, messages: map[string]*message{}, leftOut: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "primecloud_oplog_left_out_lines_total", Help: "Lines of the log for people that were beyond the rate of their message.",
	})}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(l.leftOut)
	}
	return &handler{h, l}
}

type handler struct {
	next  slog.Handler
	rates *rateLimiter
}

func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	leftOut := int64(0)
	if r.Level >= slog.LevelInfo {
		var ok bool
		if leftOut, ok = h.rates.take(r.Message); !ok {
			return nil
		}
	}
	bounded := slog.NewRecord(r.Time, r.Level, text(r.Message, maxText), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		bounded.AddAttrs(boundAttr(a))
		return true
	})
	if leftOut > 0 {
		bounded.AddAttrs(slog.Int64("left_out", leftOut))
	}
	return h.next.Handle(ctx, bounded)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	bounded := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		bounded[i] = boundAttr(a)
	}
	return &handler{h.next.WithAttrs(bounded), h.rates}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.next.WithGroup(name), h.rates}
}

// The most bytes of a text. A trace is this process's own.
const (
	maxText  = 1 << 10
	maxTrace = 16 << 10
)

// boundAttr is a with its texts bounded. Its key is the code's own.
func boundAttr(a slog.Attr) slog.Attr {
	limit := maxText
	if a.Key == "trace" {
		limit = maxTrace
	}
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, text(v.String(), limit))
	case slog.KindGroup:
		group := make([]slog.Attr, 0, len(v.Group()))
		for _, member := range v.Group() {
			group = append(group, boundAttr(member))
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(group...)}
	case slog.KindAny:
		return slog.String(a.Key, text(valueText(v.Any()), limit))
	}
	return slog.Attr{Key: a.Key, Value: v}
}

func valueText(v any) string {
	switch v := v.(type) {
	case error:
		return v.Error()
	case encoding.TextMarshaler:
		if b, err := v.MarshalText(); err == nil {
			return string(b)
		}
	}
	return fmt.Sprintf("%+v", v)
}

// maxMessages bounds the messages of which a rate is kept apart: they are the
// code's own, and what is beyond shares one.
const maxMessages = 256

// rateLimiter holds messages to their rates.
type rateLimiter struct {
	cfg     Config
	leftOut prometheus.Counter

	mu       sync.Mutex
	messages map[string]*message
}

type message struct {
	paid    time.Time // when all lines so far are paid for
	leftOut int64
}

// take reports whether a line may be written, and how many were left out before it.
func (l *rateLimiter) take(name string) (leftOut int64, ok bool) {
	now, each := l.cfg.Now(), time.Second/time.Duration(l.cfg.Rate)
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.messages[name]
	if m == nil && len(l.messages) >= maxMessages {
		name = ""
		m = l.messages[name]
	}
	if m == nil {
		m = &message{}
		l.messages[name] = m
	}
	if m.paid.Sub(now) >= each*time.Duration(l.cfg.Burst) {
		m.leftOut++
		l.leftOut.Inc()
		return 0, false
	}
	if m.paid.Before(now) {
		m.paid = now
	}
	m.paid = m.paid.Add(each)
	leftOut, m.leftOut = m.leftOut, 0
	return leftOut, true
}
