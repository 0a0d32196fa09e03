package minioraw

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// written is a zip as MinIO's, which Go's archive/zip writes, and its names.
func written(t testing.TB) ([]byte, []string) {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	var names []string
	random := rand.New(rand.NewPCG(1, 2))
	for i, size := range []int{0, 1, 100, 70_000, 1 << 20, 0, 5} {
		h := &zip.FileHeader{Name: strings.Repeat("n", i+1) + "/ü", Method: zip.Deflate}
		if i == 5 {
			h.Name = "folder/"
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, size)
		for j := range body {
			body[j] = byte(random.Uint32() >> (i % 3 * 4)) // some can be compressed
		}
		if _, err := f.Write(body); err != nil && size > 0 {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), names
}

func TestZipNames(t *testing.T) {
	t.Parallel()
	b, want := written(t)
	var got []string
	var sum int64
	if err := zipNames(bytes.NewReader(b), func(name string, size int64) error {
		got, sum = append(got, name), sum+size
		return nil
	}); err != nil || !slices.Equal(got, want) || sum != 0+1+100+70_000+1<<20+5 {
		t.Errorf("%q, %d bytes, %v", got, sum, err)
	}
	if err := zipNames(bytes.NewReader(b), func(string, int64) error { return io.ErrClosedPipe }); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the caller's error: %v", err)
	}
}

func FuzzZipNames(f *testing.F) {
	b, _ := written(f)
	f.Add(b[:400])
	f.Add(b[len(b)-600:])
	f.Fuzz(func(t *testing.T, b []byte) {
		names := 0
		err := zipNames(bytes.NewReader(b), func(name string, size int64) error {
			names++
			if size < 0 || len(name) > len(b) {
				t.Errorf("%q of %d bytes", name, size)
			}
			return nil
		})
		// A file has a head of 30 bytes, and the end is said.
		if names > len(b)/30 || err == nil && len(b) < 4 {
			t.Errorf("%d names in %d bytes, %v", names, len(b), err)
		}
	})
}
