package proxy_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/tenancy"
)

// limitInputs is what a client can say of a length, whichever operation it says
// it to: each limit is computed from what the backend goes by, and from nothing
// else. The source of every copy has 3 bytes.
var limitInputs = []string{
	"x-amz-copy-source-range: bytes=0-0",
	"x-amz-copy-source-range: bytes=0-0,1-2",
	"x-amz-copy-source-range: bytes=-1",
	"x-amz-copy-source-range: bytes=0-",
	"x-amz-copy-source-range: bytes=2-0",
	"x-amz-copy-source-range: Bytes=0-0",
	"x-amz-copy-source-range: bytes=0-0\nx-amz-copy-source-range: bytes=0-2",
	"x-amz-copy-source-range: bytes=0-+0",
	"x-amz-copy-source-range: bytes=9223372036854775807-9223372036854775808",
	"x-amz-copy-source-range:",
	"range: bytes=0-0",
	"x-amz-decoded-content-length: 1",
	"x-amz-decoded-content-length: 1\ncontent-encoding: aws-chunked",
	"x-amz-mp-object-size: 1",
	"content-range: bytes 0-0/1",
	"x-amz-copy-source-if-match: \"other\"",
	"x-amz-copy-source-if-unmodified-since: Mon, 02 Jan 2006 15:04:05 GMT",
	"x-amz-write-offset-bytes: 0",
	"x-minio-source-etag: e\nx-amz-meta-x-amz-decoded-content-length: 1",
	"",
}

// limitWrites are the ways to have bytes stored.
var limitWrites = []struct {
	name, target, lines, body string
	way                       uint8
}{
	{"PutObject", "boundary/dir/k", "", "abc", byHeader},
	{"PutObject unsigned", "boundary/dir/k", "", "abc", byHeaderUnsigned},
	{"PutObject with a trailer", "boundary/dir/k", "x-amz-trailer: x-amz-checksum-crc32\ntrailer!x-amz-checksum-crc32: NSRBwg==", "abc", byTrailer},
	{"UploadPart", "boundary/dir/k?partNumber=1&uploadId={upload}", "", "abc", byHeader},
	{"CopyObject", "boundary/dir/k", "x-amz-copy-source: boundary/dir/k", "", byHeader},
	{"CopyObject of a version", "boundary/dir/k", "x-amz-copy-source: boundary/dir/k?versionId=null", "", byHeader},
	{"UploadPartCopy", "boundary/dir/k?partNumber=1&uploadId={upload}", "x-amz-copy-source: boundary/dir/k", "", byHeader},
	{"PostObject", "boundary", "key: k", "abc", byForm},
}

// stored is how many bytes of q a backend keeps, by what arrived of it.
func stored(t *testing.T, q *recorded) int64 {
	t.Helper()
	if q.method != "PUT" || q.cut {
		return 0
	}
	if q.header["x-amz-copy-source"] == "" {
		if n, framed := q.header["x-amz-decoded-content-length"]; framed {
			size, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				t.Errorf("decoded length %q arrived", n)
			}
			return size
		}
		return int64(len(q.body))
	}
	var a, b int64
	r, part := q.header["x-amz-copy-source-range"], strings.Contains(q.target, "uploadId=")
	if !part || r == "" {
		switch match := q.header["x-amz-copy-source-if-match"]; match {
		case `"e"`:
			return 3
		case "":
			t.Errorf("a copy arrived that is not bound to the object that was measured")
		}
		return 0
	}
	if n, _ := fmt.Sscanf(r+"\n", "bytes=%d-%d\n", &a, &b); n != 2 {
		t.Errorf("range %q arrived", r)
	}
	return b - a + 1
}

// TestLimits_inputs: nothing that a client can say of a length gets more bytes
// stored than the quota has left, and what fits is stored.
func TestLimits_inputs(t *testing.T) {
	t.Parallel()
	b := newBoundary(t)
	b.tn.limit(t, hardCap(tenancy.Storage, 2))
	try := func(way uint8, target, lines, body string) (status int, kept int64) {
		c := newSent(way, mPUT, strings.ReplaceAll(target, "{upload}", b.upload), lines, []byte(body))
		status, _ = b.exchange(t, c.method, b.wire(t, c))
		for _, q := range b.rec.take(t) {
			if q.fault != nil {
				t.Error(q.fault)
			}
			kept += stored(t, q)
		}
		return status, kept
	}
	for _, w := range limitWrites {
		for _, in := range limitInputs {
			for _, hoisted := range []bool{false, true} {
				target, lines := w.target, w.lines+"\n"+in
				if name, value, ok := strings.Cut(in, ":"); hoisted {
					if !ok || strings.Contains(value, "\n") || w.way == byForm {
						continue
					}
					separator := "?"
					if strings.Contains(target, "?") {
						separator = "&"
					}
					// In the spelling of SDKs.
					target, lines = target+separator+strings.ReplaceAll(strings.ToUpper(name[:1])+name[1:], "x-a", "X-A")+"="+escaped(strings.TrimSpace(value)), w.lines
				}
				fits := w.name == "UploadPartCopy" && in == limitInputs[0] && !hoisted
				status, kept := try(w.way, target, lines, w.body)
				if kept > 2 || status >= 500 && status != 501 || (status < 300 && kept > 0) != fits {
					t.Errorf("%s of 3 bytes with %q (hoisted: %v): %d, and %d bytes are stored", w.name, in, hoisted, status, kept)
				}
			}
		}
	}
	b.tn.limit(t, hardCap(tenancy.Storage, 100))
	for _, w := range limitWrites {
		if status, kept := try(w.way, w.target, w.lines, w.body); status >= 300 || kept != 3 {
			t.Errorf("%s within the quota: %d, and %d bytes are stored", w.name, status, kept)
		}
	}
}
