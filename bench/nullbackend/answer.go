package nullbackend

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// The headers that MinIO sends with an object: what is in front has to read
// and pass on as many.
const common = "Accept-Ranges: bytes\r\nServer: null\r\nStrict-Transport-Security: max-age=31536000; includeSubDomains\r\nVary: Origin\r\nVary: Accept-Encoding\r\n" +
	"X-Amz-Id-2: dd9025bab4ad464b049177c95eb6ebf374d3b3fd1af9251148b658df7ac2e3e8\r\nX-Amz-Request-Id: 17F1C9D3A0B1C2D3\r\n" +
	"X-Content-Type-Options: nosniff\r\nX-Xss-Protection: 1; mode=block\r\nDate: Wed, 01 Jan 2025 00:00:00 GMT\r\n"

const object = "Content-Type: application/octet-stream\r\nETag: \"9b2cf535f27731c974343645a3985328\"\r\nLast-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n"

// ListBucket is the bucket whose list is answered: an answer names it.
const ListBucket = "bench-bucket"

var (
	stored  = answer(200, "ETag: \"9b2cf535f27731c974343645a3985328\"\r\n", "")
	empty   = answer(200, "", "")
	buckets = answer(200, "Content-Type: application/xml\r\n", `<?xml version="1.0" encoding="UTF-8"?>`+
		`<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>null</ID><DisplayName>null</DisplayName></Owner><Buckets><Bucket><Name>`+
		ListBucket+`</Name><CreationDate>2025-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>`)
	location = answer(200, "Content-Type: application/xml\r\n", `<?xml version="1.0" encoding="UTF-8"?>`+
		`<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>`)
	versions = answer(200, "Content-Type: application/xml\r\n", `<?xml version="1.0" encoding="UTF-8"?>`+
		`<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></ListVersionsResult>`)
	list       = answer(200, "Content-Type: application/xml\r\n", listing())
	noLock     = failure(404, "ObjectLockConfigurationNotFoundError")
	noKey      = failure(404, "NoSuchKey")
	noLength   = failure(411, "MissingContentLength")
	unknown    = failure(501, "NotImplemented")
	goOn       = []byte("HTTP/1.1 100 Continue\r\n\r\n")
	headerEnds = []byte("\r\n\r\n")
)

func answer(status int, headers, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %d X\r\n%s%sContent-Length: %d\r\n\r\n%s", status, common, headers, len(body), body)
}

func failure(status int, code string) []byte {
	return answer(status, "Content-Type: application/xml\r\n", `<?xml version="1.0" encoding="UTF-8"?>`+"\n<Error><Code>"+code+
		"</Code><Message>The null backend has none.</Message><Resource>/</Resource><RequestId>17F1C9D3A0B1C2D3</RequestId></Error>")
}

func listing() string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>` + ListBucket +
		`</Name><Prefix></Prefix><KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>`)
	for i := range 1000 {
		fmt.Fprintf(&b, `<Contents><Key>1024/%d</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified><ETag>&#34;9b2cf535f27731c974343645a3985328&#34;</ETag><Size>1024</Size><StorageClass>STANDARD</StorageClass></Contents>`, i)
	}
	b.WriteString(`</ListBucketResult>`)
	return b.String()
}

// request understands one request and prepares its answer. It returns false
// when the head is not complete.
func (l *loop) request(c *conn) bool {
	end := bytes.Index(c.in, headerEnds)
	if end < 0 {
		return false
	}
	head := c.in[:end+len(headerEnds)]
	method, rest, _ := bytes.Cut(head, []byte{' '})
	target, _, _ := bytes.Cut(rest, []byte{' '})
	path, query, _ := bytes.Cut(target, []byte{'?'})
	length, framed := contentLength(head)
	c.close = header(head, "connection") == "close"
	switch {
	case !framed:
		c.out, c.close = noLength, true
	case string(method) == "PUT" || string(method) == "POST":
		c.reply, c.drain = stored, length
		if header(head, "expect") != "" {
			c.out = goOn
		}
	default:
		l.read(c, string(method), path, query)
	}
	c.in = c.in[:copy(c.in, c.in[len(head):])]
	return true
}

func (l *loop) read(c *conn, method string, path, query []byte) {
	bucket, key, _ := bytes.Cut(bytes.TrimPrefix(path, []byte{'/'}), []byte{'/'})
	size, sized := sizeOf(key)
	switch {
	case method == "DELETE" || string(bucket) == "minio":
		c.out = empty
	case method != "GET" && method != "HEAD":
		c.out = unknown
	case bytes.HasPrefix(query, []byte("object-lock")):
		c.out = noLock
	case bytes.HasPrefix(query, []byte("location")):
		c.out = location
	case len(bucket) == 0:
		c.out = buckets
	case len(key) == 0 && method == "HEAD":
		c.out = empty
	case len(key) == 0 && bytes.HasPrefix(query, []byte("versions")): // the gateway looks whether there is anything below a key
		c.out = versions
	case len(key) == 0:
		c.out = list
	case !sized, method == "HEAD" && bytes.IndexByte(key, '/') < 0: // "1024" is the folder of "1024/0"
		c.out = noKey
		if method == "HEAD" {
			c.out = c.out[:bytes.Index(c.out, headerEnds)+len(headerEnds)]
		}
	case method == "HEAD":
		c.out = objectHead(size)
	default:
		c.out, c.body = l.object(size)
		c.at = 0
	}
}

func (l *loop) object(size int64) (out []byte, fromFile int64) {
	if whole := l.small[size]; whole != nil {
		return whole, 0
	}
	out = objectHead(size)
	if size > inlineMax {
		return out, size
	}
	out = append(out, l.content[:size]...)
	l.small[size] = out
	return out, 0
}

func objectHead(size int64) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\n%s%sContent-Length: %d\r\n\r\n", common, object, size)
}

// sizeOf reads the length that a key begins with: 1024/17.
func sizeOf(key []byte) (int64, bool) {
	digits, _, _ := bytes.Cut(key, []byte{'/'})
	n, err := strconv.ParseInt(string(digits), 10, 63)
	return n, err == nil && n >= 0
}

// contentLength is 0 without one; framed is false for a body that is chunked.
func contentLength(head []byte) (n int64, framed bool) {
	if v := header(head, "content-length"); v != "" {
		n, err := strconv.ParseInt(v, 10, 63)
		return n, err == nil && n >= 0
	}
	return 0, header(head, "transfer-encoding") == ""
}

// header is the first value of that name, in lower case both.
func header(head []byte, name string) string {
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, []byte("\r\n"))
		head = rest
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return strings.ToLower(string(bytes.TrimSpace(line[len(name)+1:])))
		}
	}
	return ""
}
