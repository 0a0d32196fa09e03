package accesslog_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/metering/accesslog"
)

const someFile = "access-2026020600-01950000-0000-7000-8000-000000000000-000001-a.jsonl"

func write(t testing.TB, file string, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRead(t *testing.T) {
	t.Parallel()
	one, two := t.TempDir(), t.TempDir()
	line := string(typical().AppendLine(nil))
	marker := `{"time":"2026-02-06T01:00:00Z","node":"a","dropped":3,"ingress_bytes":4,"egress_bytes":5}` + "\n"
	long := strings.Repeat("x", 2<<20) + "\n"
	// In the order of hours over both folders; what is no log is left alone.
	write(t, filepath.Join(one, "access-2026020602-01950000-0000-7000-8000-000000000000-000003-a.jsonl"), line+line[:len(line)/2])
	write(t, filepath.Join(one, someFile), line+"nonsense\n"+`{"time":"2026-02-06T01:00:00Z"}`+"\n"+long+line)
	write(t, filepath.Join(two, "access-2026020601-01950000-0000-7000-8000-000000000001-000001-b.jsonl"), marker)
	write(t, filepath.Join(two, "lock"), "")
	write(t, filepath.Join(two, someFile+".delivered"), "{}")
	var got []string
	var torn int
	for e, err := range accesslog.Read(one, two) {
		var damage *accesslog.DamageError
		switch {
		case errors.As(err, &damage):
			got = append(got, "damage")
			if errors.Is(err, accesslog.ErrTorn) {
				torn++
			}
		case err != nil:
			t.Fatal(err)
		case e.Dropped != nil:
			got = append(got, "dropped")
			if d := e.Dropped; d.Lines != 3 || d.Ingress != 4 || d.Egress != 5 || d.Node != "a" {
				t.Errorf("marker: %+v", d)
			}
		default:
			got = append(got, "record")
			if e.Record.Operation != "GetObject" || e.Record.Egress != 1<<20 || e.End-e.Offset != int64(len(line)) {
				t.Errorf("%+v", e)
			}
		}
	}
	if want := "record damage damage damage record dropped record damage"; strings.Join(got, " ") != want || torn != 1 {
		t.Errorf("read %v (%d torn), want %s", got, torn, want)
	}
	for _, err := range accesslog.Read(filepath.Join(one, "missing")) {
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a folder that is not there: %v", err)
		}
	}
}

// Whatever a file holds, every byte of it belongs to an entry or to a reported
// damage, and sound lines behind damage are read.
func FuzzReadFrom(f *testing.F) {
	line := typical().AppendLine(nil)
	f.Add(line)
	f.Add(append(bytes.Repeat([]byte{0}, 100), line...))
	f.Add([]byte("{\"dropped\":1}\n\n{}\n"))
	f.Add(line[:40])
	f.Fuzz(func(t *testing.T, data []byte) {
		file := write(t, filepath.Join(t.TempDir(), someFile), string(data)+"\n"+string(line))
		var at int64
		records := 0
		for e, err := range accesslog.ReadFrom(file, 0) {
			var damage *accesslog.DamageError
			switch {
			case errors.As(err, &damage):
				if damage.Offset < at {
					t.Fatalf("damage at %d, behind %d", damage.Offset, at)
				}
			case err != nil:
				t.Fatal(err)
			default:
				if e.Offset < at {
					t.Fatalf("a line at %d, behind %d", e.Offset, at)
				}
				if at = e.End; e.Dropped == nil {
					records++
				}
			}
		}
		if size := int64(len(data) + 1 + len(line)); at != size || records == 0 {
			t.Fatalf("ended at %d of %d with %d records", at, size, records)
		}
	})
}
