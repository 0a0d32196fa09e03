package sigv4_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/primecloudpro/primecloud/sigv4"
)

// upload is an aws-chunked body with the request that announces it.
type upload struct {
	auth    sigv4.Auth
	key     *sigv4.SigningKey
	body    []byte
	options sigv4.ChunkOptions
	want    []byte
}

func (u *upload) decode(body []byte, chunk func(io.Reader) io.Reader) ([]byte, error) {
	var c sigv4.ChunkReader
	c.Reset(chunk(bytes.NewReader(body)), &u.auth, u.key, u.options)
	return io.ReadAll(&c)
}

func whole(r io.Reader) io.Reader { return r }

// signedUpload lets minio-go frame and sign data, with a trailer if sum is
// not none.
func signedUpload(t testing.TB, data []byte, sum sigv4.Checksum) *upload {
	t.Helper()
	r, err := http.NewRequest(http.MethodPut, "http://h.test/b/k", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = int64(len(data))
	u := &upload{want: data, options: sigv4.ChunkOptions{DecodedLength: int64(len(data))}}
	if sum != sigv4.NoChecksum {
		h := sum.New()
		h.Write(data)
		r.Trailer = http.Header{sum.HeaderName(): {base64.StdEncoding.EncodeToString(h.Sum(nil))}}
		u.options.Trailer = sum.HeaderName()
	}
	signed := signer.StreamingSignV4(r, accessKey, secretKey, "", region, int64(len(data)), time.Now(), stdSHA256{sha256.New()})
	if u.body, err = io.ReadAll(signed.Body); err != nil {
		t.Fatal(err)
	}
	u.parse(t, fromHTTP(signed), time.Now())
	return u
}

func (u *upload) parse(t testing.TB, w *wire, at time.Time) {
	t.Helper()
	req := w.request(t)
	if err := u.auth.Parse(req, sigv4.Options{Region: region, Now: at}); err != nil {
		t.Fatal(err)
	}
	u.key = sigv4.NewSigningKey(secretKey, string(u.auth.Day), region)
	if err := u.auth.Verify(req, u.key); err != nil {
		t.Fatal(err)
	}
}

// unsignedUpload frames data in chunks of the sizes given, as SDKs do over TLS.
func unsignedUpload(t testing.TB, data []byte, sum sigv4.Checksum, size int) *upload {
	t.Helper()
	r := &http.Request{Method: "PUT", URL: &url.URL{Scheme: "http", Host: "h.test", Path: "/b/k"}, Host: "h.test", Header: http.Header{}}
	awsSign(t, r, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	u := &upload{want: data, options: sigv4.ChunkOptions{DecodedLength: int64(len(data)), Trailer: sum.HeaderName()}}
	u.parse(t, fromHTTP(r), now)
	for rest := data; len(rest) > 0; {
		n := min(size, len(rest))
		u.body = append(fmt.Appendf(u.body, "%x\r\n", n), rest[:n]...)
		u.body = append(u.body, "\r\n"...)
		rest = rest[n:]
	}
	h := sum.New()
	h.Write(data)
	u.body = fmt.Appendf(u.body, "0\r\n%s:%s\r\n\r\n", sum.HeaderName(), base64.StdEncoding.EncodeToString(h.Sum(nil)))
	return u
}

func uploads(t testing.TB, data []byte) map[string]*upload {
	return map[string]*upload{
		"signed":              signedUpload(t, data, sigv4.NoChecksum),
		"signed with trailer": signedUpload(t, data, sigv4.CRC32C),
		"unsigned trailer":    unsignedUpload(t, data, sigv4.CRC64NVME, 1000),
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

func TestChunkReader(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 63, 1000, 8191, 8192, 65536, 65537, 200_000, 1 << 20} {
		for name, u := range uploads(t, pattern(n)) {
			for how, chunk := range map[string]func(io.Reader) io.Reader{"whole": whole, "halves": iotest.HalfReader, "data with EOF": iotest.DataErrReader} {
				got, err := u.decode(u.body, chunk)
				if err != nil || !bytes.Equal(got, u.want) {
					t.Errorf("%s, %d bytes, %s: %d bytes, %v", name, n, how, len(got), err)
				}
			}
		}
	}
	small := unsignedUpload(t, pattern(100), sigv4.SHA1, 1)
	if got, err := small.decode(small.body, iotest.OneByteReader); err != nil || !bytes.Equal(got, small.want) {
		t.Errorf("byte by byte: %v", err)
	}
}

// TestChunkReader_B20_sizes: chunks of any size, one for the whole body too.
func TestChunkReader_B20_sizes(t *testing.T) {
	t.Parallel()
	data := pattern(17<<20 + 3)
	for _, size := range []int{8191, 16<<20 + 1, len(data)} {
		u := unsignedUpload(t, data, sigv4.CRC32, size)
		if got, err := u.decode(u.body, whole); err != nil || !bytes.Equal(got, data) {
			t.Errorf("chunks of %d: %d bytes, %v", size, len(got), err)
		}
	}
}

// TestChunkReader_A5_everyCut: a body cut anywhere never gives its last byte.
func TestChunkReader_A5_everyCut(t *testing.T) {
	t.Parallel()
	for name, u := range uploads(t, pattern(3000)) {
		for i := range u.body {
			got, err := u.decode(u.body[:i], whole)
			if i >= len(u.body)-2 {
				continue // the last line end is behind everything that is verified
			}
			if err == nil || len(got) >= len(u.want) {
				t.Fatalf("%s cut at %d of %d: %d bytes, %v", name, i, len(u.body), len(got), err)
			}
		}
	}
}

// TestChunkReader_B19_everyFlip: a changed byte anywhere never gives the last byte.
func TestChunkReader_B19_everyFlip(t *testing.T) {
	t.Parallel()
	for name, u := range uploads(t, pattern(700)) {
		for i := range u.body {
			for _, flip := range []byte{1, 0x20, 0x80} {
				changed := bytes.Clone(u.body)
				changed[i] ^= flip
				got, err := u.decode(changed, whole)
				if err == nil && bytes.Equal(got, u.want) && strings.EqualFold(string(changed), string(u.body)) {
					continue // the case of a hexadecimal digit or of the trailer's name
				}
				if err == nil || len(got) >= len(u.want) {
					t.Fatalf("%s: byte %d ^ %#x (%q): %d bytes, %v", name, i, flip, u.body[max(0, i-10):min(len(u.body), i+10)], len(got), err)
				}
			}
		}
	}
}

func TestChunkReader_refusals(t *testing.T) {
	t.Parallel()
	data := pattern(200_000) // four chunks of minio-go's
	signed, trailer := signedUpload(t, data, sigv4.NoChecksum), unsignedUpload(t, data, sigv4.CRC32, 64<<10)
	other := signedUpload(t, pattern(200_000), sigv4.NoChecksum)
	chunkLen := len("10000;chunk-signature=") + 64 + 2 + 65536 + 2
	part := func(u *upload, i int) []byte { return u.body[i*chunkLen : (i+1)*chunkLen] }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name string
		u    *upload
		body []byte
		want error
	}{
		{"B19 two chunks swapped", signed, join(part(signed, 1), part(signed, 0), signed.body[2*chunkLen:]), sigv4.ErrSignatureDoesNotMatch},
		{"B19 a chunk repeated", signed, join(part(signed, 0), part(signed, 0), signed.body[2*chunkLen:]), sigv4.ErrSignatureDoesNotMatch},
		{"B19 a chunk dropped", signed, join(part(signed, 0), signed.body[2*chunkLen:]), sigv4.ErrSignatureDoesNotMatch},
		{"B19 the last dropped", signed, signed.body[:3*chunkLen], sigv4.ErrIncompleteBody},
		{"B19 a chunk of another upload", signed, join(part(other, 0), signed.body[chunkLen:]), nil},
		{"A5 false size", signed, join([]byte("ffffff;chunk-signature="+strings.Repeat("0", 64)+"\r\n"), data), sigv4.ErrIncompleteBody},
		{"B19 size with 0x", signed, bytes.Replace(signed.body, []byte("10000;"), []byte("0x10000;"), 1), sigv4.ErrInvalidChunkSize},
		{"B19 size with a sign", signed, bytes.Replace(signed.body, []byte("10000;"), []byte("+10000;"), 1), sigv4.ErrInvalidChunkSize},
		{"B19 size with a space", signed, bytes.Replace(signed.body, []byte("10000;"), []byte("10000 ;"), 1), sigv4.ErrInvalidChunkSize},
		{"B19 no signature", signed, bytes.Replace(signed.body, []byte(";chunk-signature="), []byte(";x="), 1), sigv4.ErrSignatureDoesNotMatch},
		{"B19 two signatures", signed, bytes.Replace(signed.body, []byte(";chunk"), []byte(";chunk-signature="+strings.Repeat("0", 64)+";chunk"), 1), sigv4.ErrSignatureDoesNotMatch},
		{"B19 bare LF", signed, bytes.Replace(signed.body, []byte("\r\n"), []byte("\n"), 1), sigv4.ErrInvalidChunkSize},
		{"B19 endless line", signed, bytes.Repeat([]byte("a"), 1<<20), sigv4.ErrInvalidChunkSize},
		{"B21 data after the trailer", trailer, append(bytes.Clone(trailer.body), "more"...), sigv4.ErrIncompleteBody},
		{"B21 a chunk after the trailer", trailer, append(bytes.Clone(trailer.body), "1\r\nx\r\n"...), sigv4.ErrMalformedTrailer},
		{"B21 no trailer", trailer, append(bytes.Clone(trailer.body[:bytes.LastIndex(trailer.body, []byte("0\r\nx-amz"))+3]), "\r\n"...), sigv4.ErrMalformedTrailer},
		{"B21 another name", trailer, bytes.Replace(trailer.body, []byte("x-amz-checksum-crc32:"), []byte("x-amz-checksum-crc3x:"), 1), sigv4.ErrMalformedTrailer},
		{"B21 x-amz-copy-source", trailer, bytes.Replace(trailer.body, []byte("x-amz-checksum-crc32:"), []byte("x-amz-copy-source:a/b\r\nx-amz-checksum-crc32:"), 1), sigv4.ErrMalformedTrailer},
		{"B21 authorization", trailer, bytes.Replace(trailer.body, []byte("x-amz-checksum-crc32:"), []byte("authorization:x\r\nx-amz-checksum-crc32:"), 1), sigv4.ErrMalformedTrailer},
		{"B21 twice", trailer, bytes.Replace(trailer.body, []byte("x-amz-checksum-crc32:"), []byte("x-amz-checksum-crc32:AAAAAA==\r\nx-amz-checksum-crc32:"), 1), sigv4.ErrMalformedTrailer},
		{"B21 wrong value", trailer, bytes.Replace(trailer.body, []byte("crc32:"), []byte("crc32:A"), 1), sigv4.ErrBadDigest},
		{"B21 huge trailer", trailer, append(bytes.Clone(trailer.body), bytes.Repeat([]byte("\r\n"), 1<<20)...), sigv4.ErrMalformedTrailer},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.u.decode(c.body, whole)
			if c.want == nil { // the same bytes, signed at the same second, are the same chunk
				if err == nil {
					return
				}
				c.want = sigv4.ErrSignatureDoesNotMatch
			}
			if !errors.Is(err, c.want) || len(got) >= len(c.u.want) {
				t.Errorf("%d of %d bytes, %v; wanted %v", len(got), len(c.u.want), err, c.want)
			}
		})
	}
}

// TestChunkReader_B18_length: fewer or more bytes than declared.
func TestChunkReader_B18_length(t *testing.T) {
	t.Parallel()
	for _, d := range []int64{-1, 1, 1000} {
		for name, u := range uploads(t, pattern(5000)) {
			u.options.DecodedLength += d
			if got, err := u.decode(u.body, whole); !errors.Is(err, sigv4.ErrIncompleteBody) || int64(len(got)) >= u.options.DecodedLength {
				t.Errorf("%s declared %+d: %d bytes, %v", name, d, len(got), err)
			}
		}
	}
}

// TestChunkReader_reset: nothing of an upload shows in the next.
func TestChunkReader_reset(t *testing.T) {
	t.Parallel()
	var c sigv4.ChunkReader
	for _, n := range []int{70_000, 0, 5, 70_000} {
		for name, u := range uploads(t, pattern(n)) {
			c.Reset(bytes.NewReader(u.body), &u.auth, u.key, u.options)
			if got, err := io.ReadAll(&c); err != nil || !bytes.Equal(got, u.want) || c.Wire() != int64(len(u.body)) {
				t.Errorf("%s, %d bytes: %d bytes, wire %d, %v", name, n, len(got), c.Wire(), err)
			}
			c.Reset(bytes.NewReader(u.body[:len(u.body)/2]), &u.auth, u.key, u.options)
			_, _ = io.ReadAll(&c)
		}
	}
}

func FuzzChunkReader(f *testing.F) {
	data := pattern(300)
	for _, u := range uploads(f, data) {
		f.Add(u.body)
	}
	signed, trailer := signedUpload(f, data, sigv4.NoChecksum), unsignedUpload(f, data, sigv4.CRC32, 100)
	f.Fuzz(func(t *testing.T, body []byte) {
		if got, err := signed.decode(body, whole); err == nil && !bytes.Equal(got, data) {
			t.Fatalf("other data passed the chain: %q", got)
		}
		if got, err := trailer.decode(body, whole); err == nil && !bytes.Equal(got, data) && crcEqual(got, data) {
			return // a collision, which a CRC allows
		} else if err == nil && !bytes.Equal(got, data) && !bytes.Contains(body, []byte("x-amz-checksum-crc32")) {
			t.Fatalf("data without its checksum passed: %q", got)
		}
	})
}

func crcEqual(a, b []byte) bool {
	x, y := sigv4.CRC32.New(), sigv4.CRC32.New()
	x.Write(a)
	y.Write(b)
	return bytes.Equal(x.Sum(nil), y.Sum(nil))
}

func BenchmarkChunkReader(b *testing.B) {
	u := signedUpload(b, pattern(1<<20), sigv4.NoChecksum)
	var c sigv4.ChunkReader
	buf := make([]byte, 256<<10)
	b.ReportAllocs()
	b.SetBytes(1 << 20)
	for b.Loop() {
		c.Reset(bytes.NewReader(u.body), &u.auth, u.key, u.options)
		for {
			if _, err := c.Read(buf); err != nil {
				break
			}
		}
	}
}

// stdSHA256 is the standard SHA-256 in the interface that minio-go wants.
type stdSHA256 struct{ hash.Hash }

func (stdSHA256) Close() {}
