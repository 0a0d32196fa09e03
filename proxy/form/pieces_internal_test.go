package form

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// However a form's bytes are cut, its fields and its file are the same, and a
// field behind a large file is found.
func TestReader_pieces(t *testing.T) {
	t.Parallel()
	const boundary = "boundary-1"
	part := func(name, value string) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; name=" + name + "\r\n\r\n" + value + "\r\n"
	}
	// Its bytes are beginnings of a boundary.
	file := strings.Repeat("\r\n--boundary-\r\n--\r\n-\r", window/20)
	for _, c := range []struct {
		file, behind string
		want         error
	}{
		{file: ""}, {file: file[:1]}, {file: file[:5000]}, {file: file[:100], behind: part("submit", "x")},
		{file: file}, {file: file + "x"}, {file: file + file[:300_001]}, {file: file + "\r"},
		{file: file, behind: part("submit", "x"), want: errNotLast}, {file: file + file[:77_777], behind: part("submit", strings.Repeat("x", 1000)), want: errNotLast},
	} {
		body := part("key", "k") + part("a", strings.Repeat("v", 9000)) + part("file", c.file) + c.behind + "--" + boundary + "--\r\n"
		for i := range 6 {
			held := 0
			r := NewReader(&cutReader{r: strings.NewReader(body), most: 1 + rand.IntN(40_000)}, boundary, int64(len(body)), func(n int) error {
				held += n
				return nil
			})
			if err := r.ReadFields(); err != nil {
				t.Fatal(err)
			}
			if v, _ := r.Get("a"); len(r.Fields) != 2 || len(v) != 9000 {
				t.Fatalf("%d fields", len(r.Fields))
			}
			if _, err := r.FileLength(); err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			_, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{r}, make([]byte, 1+rand.IntN([]int{20, 100_000}[i%2])))
			if !errors.Is(err, c.want) || c.want == nil && got.String() != c.file {
				t.Errorf("a file of %d bytes with %d behind it: %d bytes, %v", len(c.file), len(c.behind), got.Len(), err)
			}
			if held < cap(r.buf) || len(c.file) > 2*window && cap(r.buf) > step {
				t.Errorf("a buffer of %d bytes, %d are counted", cap(r.buf), held)
			}
		}
	}
}

// cutReader gives pieces of any length up to most.
type cutReader struct {
	r    io.Reader
	most int
}

func (c *cutReader) Read(p []byte) (int, error) {
	return c.r.Read(p[:min(len(p), 1+rand.IntN(c.most))])
}
