package minioraw

import (
	"bufio"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

var errZip = errors.New("minioraw: the answer is no zip as MinIO writes it")

// Numbers of the zip format (APPNOTE.TXT 4.3.7 to 4.3.12).
const (
	zipFile       = 0x04034b50
	zipDescriptor = 0x08074b50
	zipDirectory  = 0x02014b50
	zipEnd        = 0x06054b50

	zipEncrypted  = 1 << 0
	zipDescribed  = 1 << 3 // a descriptor with sizes and sum comes behind the file
	methodStore   = 0
	methodDeflate = 8
)

// zipNames calls f with each file's name and size, in order, and reads to the end.
// archive/zip begins at a zip's end, and would need all of it on a disk.
func zipNames(src io.Reader, f func(name string, size int64) error) error {
	z := &zipReader{r: bufio.NewReaderSize(src, 1<<16)}
	for {
		var signature [4]byte
		if _, err := io.ReadFull(z.r, signature[:]); err != nil {
			return fmt.Errorf("minioraw: between two files: %w", unexpected(err))
		}
		switch binary.LittleEndian.Uint32(signature[:]) {
		case zipFile:
			name, size, err := z.file()
			if err != nil {
				return fmt.Errorf("minioraw: the file %q: %w", name, unexpected(err))
			}
			if name == failure {
				return errors.New("minioraw: MinIO reports a failure in its answer")
			}
			if err := f(name, size); err != nil {
				return err
			}
		case zipDirectory, zipEnd:
			// The names once more. The connection can be used again after the end.
			_, err := io.Copy(io.Discard, z.r)
			return err
		default:
			return errZip
		}
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

type zipReader struct {
	r       *bufio.Reader
	inflate io.ReadCloser
}

// file reads past a file behind its signature.
func (z *zipReader) file() (name string, size int64, err error) {
	var head [26]byte
	if _, err := io.ReadFull(z.r, head[:]); err != nil {
		return "", 0, err
	}
	le := binary.LittleEndian
	flags, method, stored := le.Uint16(head[2:]), le.Uint16(head[4:]), le.Uint32(head[14:])
	text := make([]byte, le.Uint16(head[22:]))
	if _, err := io.ReadFull(z.r, text); err != nil {
		return "", 0, err
	}
	name = string(text)
	if _, err := z.r.Discard(int(le.Uint16(head[24:]))); err != nil {
		return name, 0, err
	}
	switch {
	case flags&zipEncrypted != 0:
	case method == methodDeflate && flags&zipDescribed != 0:
		size, err = z.deflated()
		return name, size, err
	case method == methodStore && flags&zipDescribed == 0 && stored < math.MaxUint32: // folders
		size, err = io.CopyN(io.Discard, z.r, int64(stored))
		return name, size, err
	}
	return name, 0, errZip
}

// deflated reads past a file of unknown size and its descriptor. The inflater
// takes no byte behind the last block from a reader of single bytes.
func (z *zipReader) deflated() (int64, error) {
	counted := &counter{r: z.r}
	if z.inflate == nil {
		z.inflate = flate.NewReader(counted)
	} else if err := z.inflate.(flate.Resetter).Reset(counted, nil); err != nil {
		return 0, err
	}
	size, err := io.Copy(io.Discard, z.inflate)
	if err != nil {
		return size, err
	}
	d := make([]byte, 4+4+4+4) // signature, sum, sizes
	if size > math.MaxUint32 || counted.n > math.MaxUint32 {
		d = make([]byte, 4+4+8+8)
	}
	if _, err := io.ReadFull(z.r, d); err != nil {
		return size, err
	}
	if binary.LittleEndian.Uint32(d) != zipDescriptor || binary.LittleEndian.Uint32(d[8:]) != uint32(counted.n) {
		return size, errZip
	}
	return size, nil
}

// counter counts what the inflater takes.
type counter struct {
	r *bufio.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}
