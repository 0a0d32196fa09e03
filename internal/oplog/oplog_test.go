package oplog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/oplog"
)

// formats are the handlers that the product has.
var formats = map[string]func(w io.Writer) slog.Handler{
	"text": func(w io.Writer) slog.Handler {
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})
	},
	"json": func(w io.Writer) slog.Handler {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})
	},
}

type valueText struct{ s string }

func (s valueText) MarshalText() ([]byte, error) { return []byte(s.s), nil }

type later struct{ s string }

func (l later) LogValue() slog.Value { return slog.StringValue(l.s) }

// Whatever a text is made of and in whatever kind of value it comes, at any
// level: its line is bounded, one line, UTF-8, and has no control character.
func TestHandler_texts(t *testing.T) {
	t.Parallel()
	for format, handler := range formats {
		for kind, unit := range map[string]string{
			"letters": "a", "quotes": `"`, "backslashes": `\`, "line feeds": "\n", "escapes of a terminal": "\x1b[2J", "NUL": "\x00", "DEL": "\x7f", "no UTF-8": "\xff",
			"C1": "\u0085", "directions": "\u202e", "line separators": "\u2028", "letters of four bytes": "\U0001f600",
		} {
			for _, size := range []int{1, 100, 1015, 1016, 1017, 1024, 1025, 64 << 10} {
				s := strings.Repeat(unit, max(1, size/len(unit)))
				for name, log := range map[string]func(*slog.Logger){
					"string":       func(l *slog.Logger) { l.Error("m", "a", s) },
					"error":        func(l *slog.Logger) { l.Error("m", "a", fmt.Errorf("wrapped: %w", errors.New(s))) },
					"any":          func(l *slog.Logger) { l.Error("m", "a", []string{s}) },
					"marshaler":    func(l *slog.Logger) { l.Error("m", "a", valueText{s}) },
					"LogValuer":    func(l *slog.Logger) { l.Error("m", "a", later{s}) },
					"group":        func(l *slog.Logger) { l.Error("m", slog.Group("g", "a", s)) },
					"of With":      func(l *slog.Logger) { l.With("a", s).Error("m") },
					"in WithGroup": func(l *slog.Logger) { l.WithGroup("g").Error("m", "a", s) },
					"the message":  func(l *slog.Logger) { l.Error(s) },
					"debug":        func(l *slog.Logger) { l.Debug("m", "a", s) },
				} {
					var b bytes.Buffer
					log(slog.New(oplog.New(handler(&b), oplog.Config{})))
					line, ends := strings.CutSuffix(b.String(), "\n")
					if !ends || len(line) > 2<<10+200 || strings.ContainsFunc(line, unicode.IsControl) || !utf8.ValidString(line) || strings.ContainsAny(line, "\u202e\u2028") {
						t.Fatalf("%s: %s of %d bytes of %s is a line of %d: %.300q", format, name, size, kind, len(line), line)
					}
					if cut := strings.Contains(line, "...[cut]"); cut != (size > 1100) && (size < 300 || size > 1100) {
						t.Errorf("%s: %s of %d bytes of %s: cut %v", format, name, size, kind, cut)
					}
				}
			}
		}
	}
}

// What has nothing to be cut is as it was.
func TestHandler_same(t *testing.T) {
	t.Parallel()
	for format, handler := range formats {
		log := func(h slog.Handler, b *bytes.Buffer) string {
			r := slog.NewRecord(time.Unix(0, 0), slog.LevelInfo, "a message, with é", 0)
			r.AddAttrs(slog.String("s", "a b\n"), slog.Int("i", 3), slog.Duration("d", time.Second), slog.Any("e", errors.New("broken")), slog.Any("ip", netip.MustParseAddr("::1")), slog.Any("marshaler", valueText{"x"}),
				slog.Group("g", slog.Bool("b", true)), slog.Time("t", time.Unix(1, 0)), slog.Float64("f", 1.5), slog.Int64("left_out", 0))
			if err := h.WithAttrs([]slog.Attr{slog.String("with", "x")}).WithGroup("in").Handle(context.Background(), r); err != nil {
				t.Fatal(err)
			}
			return b.String()
		}
		var a, b bytes.Buffer
		if got, want := log(oplog.New(handler(&a), oplog.Config{}), &a), log(handler(&b), &b); got != want {
			t.Errorf("%s:\n%s%s", format, got, want)
		}
	}
}

// A message comes up to its rate, others are none the worse, and nothing is left
// out without a number.
func TestHandler_rate(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	now, registry := time.Unix(1000, 0), prometheus.NewRegistry()
	l := slog.New(oplog.New(formats["text"](&b), oplog.Config{Rate: 2, Burst: 5, Now: func() time.Time { return now }, Metrics: registry}))
	for range 1000 {
		l.Error("flood")
		l.With("a", "b").Error("flood")
		l.Debug("debugging")
	}
	l.Info("another")
	if flood, debug, other := strings.Count(b.String(), "flood"), strings.Count(b.String(), "debugging"), strings.Count(b.String(), "another"); flood != 5 || debug != 1000 || other != 1 {
		t.Errorf("%d, %d and %d lines", flood, debug, other)
	}
	b.Reset()
	now = now.Add(time.Second)
	for range 10 {
		l.Error("flood")
	}
	if lines := strings.Split(strings.TrimSpace(b.String()), "\n"); len(lines) != 2 || !strings.Contains(lines[0], "left_out=1995") || strings.Contains(lines[1], "left_out") {
		t.Errorf("%q", lines)
	}
	b.Reset()
	for i := range 10000 {
		l.Error(fmt.Sprint("message ", i))
	}
	if n := strings.Count(b.String(), "\n"); n > 300 {
		t.Errorf("%d lines of messages that nobody foresaw", n)
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetMetric()[0].GetCounter().GetValue() < 11000 {
		t.Errorf("%v, %v", families, err)
	}
}
