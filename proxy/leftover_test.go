package proxy_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// malformedHeads are requests that end before or while they are parsed: what
// the answer says of them can only come from themselves.
var malformedHeads = map[string]string{
	"a header line without a colon": "GET /x HTTP/1.1\r\nHost: localhost\r\nnocolon\r\n\r\n",
	"a space in a header name":      "GET /x HTTP/1.1\r\nHost: localhost\r\na b: c\r\n\r\n",
	"a control in a header name":    "GET /x HTTP/1.1\r\nHost: localhost\r\na\x01b: c\r\n\r\n",
	"a control in a header value":   "GET /x HTTP/1.1\r\nHost: localhost\r\na: b\x01c\r\n\r\n",
	"a folded line":                 "GET /x HTTP/1.1\r\nHost: localhost\r\na: b\r\n c\r\n\r\n",
	"a colon first":                 "GET /x HTTP/1.1\r\nHost: localhost\r\n: b\r\n\r\n",
	"two hosts":                     "GET /x HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
	"no host":                       "GET /x HTTP/1.1\r\n\r\n",
	"an empty host":                 "GET /x HTTP/1.1\r\nHost:\r\n\r\n",
	"no host name":                  "GET /x HTTP/1.1\r\nHost: a b\r\n\r\n",
	"HTTP/1.2":                      "GET /x HTTP/1.2\r\nHost: localhost\r\n\r\n",
	"HTTP/0.9":                      "GET /x\r\n\r\n",
	"HTTP/2":                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"TLS":                           "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",
	"garbage":                       "\x00\xff\xfe\r\n\r\n",
	"words":                         "one two three four\r\n\r\n",
	"a long head":                   "GET /x HTTP/1.1\r\nHost: localhost\r\na: " + strings.Repeat("b", 40<<10) + "\r\n\r\n",
	"a long target":                 "GET /" + strings.Repeat("b", 40<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"half an escape":                "GET /%2 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"an absolute target":            "GET http://localhost/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"an authority target":           "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"a star":                        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"no slash":                      "GET x HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"an unknown method":             "BREW /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"two parameters":                "GET /x?a&a HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"two lengths":                   "PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	"length and coding":             "PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	"no number":                     "PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\n",
	"another coding":                "PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
	"another expectation":           "PUT /x HTTP/1.1\r\nHost: localhost\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\n",
	"an upgrade":                    "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, x\r\nUpgrade: h2c\r\n\r\n",
	"no body":                       "PUT /x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n",
	"another host":                  "GET /x HTTP/1.1\r\nHost: nobody.example\r\n\r\n",
	"HEAD":                          "HEAD /x HTTP/1.1\r\nHost: localhost\r\nnocolon\r\n\r\n",
	"anonymous":                     "GET /x/y HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"a form of nobody": "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 60\r\n\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n12345\r\n--b--",
	"an unknown key": "GET /x/y HTTP/1.1\r\nHost: localhost\r\nx-amz-date: 20200101T000000Z\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n" +
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20200101/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=" + strings.Repeat("0", 64) + "\r\n\r\n",
}

// TestLeftOver: whatever a stranger sends that is refused, nothing of anybody
// else's request is in the answer, in the log or in the access log's line. One
// account's requests go through every exchange that there is; the stranger's
// come after them, in between, and on connections of their own.
func TestLeftOver(t *testing.T) {
	t.Parallel()
	const mark = "zebra"
	g := newGateway(t, options{})
	b := g.tenant()
	e := b.raw()
	bucket := mark + "-bucket"
	if r := e.do(t, &request{method: "PUT", path: "/" + bucket}); r.status != http.StatusOK {
		t.Fatal(r.status, string(r.body))
	}
	host := b.account.Name + ".tenants.example.test" // it names the account also where nobody signs
	form := "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n" + mark + "-form\r\n--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n1\r\n--b--\r\n"
	own := []*request{
		{method: "PUT", path: "/" + bucket + "/" + mark + "-key", body: []byte(mark), header: headers("x-amz-meta-"+mark, mark, "Referer", mark, "User-Agent", mark)},
		{method: "GET", path: "/" + bucket + "/" + mark + "-key", query: query("versionId", "null", "response-content-type", mark+"/"+mark)},
		{method: "GET", path: "/" + bucket + "/" + mark + "-missing", header: headers("If-Match", mark)},
		{method: "PUT", path: "/" + bucket + "/" + mark + "-copy", header: headers("x-amz-copy-source", bucket+"/"+mark+"-key")},
		{method: "GET", path: "/" + bucket, query: query("list-type", "2", "prefix", mark)},
		{method: "POST", path: "/" + bucket, query: query("delete", ""), body: []byte("<Delete><Object><Key>" + mark + "-gone</Key></Object></Delete>")},
		{method: "POST", path: "/" + bucket, anonymous: true, host: host, header: headers("Content-Type", "multipart/form-data; boundary=b"), body: []byte(form)},
		{method: "GET", path: "/" + bucket + "/" + mark + "-key", presign: true, query: query("x-amz-checksum-mode", "ENABLED")},
		{method: "GET", path: "/" + bucket + "/" + mark + "-key", anonymous: true, host: host},
		{method: "PUT", path: "/" + bucket + "/" + mark + "-chunks", payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", body: []byte("5\r\n" + mark + "\r\n0\r\nx-amz-checksum-crc32:" + crc(mark) + "\r\n\r\n"),
			header: headers("x-amz-decoded-content-length", "5", "x-amz-trailer", "x-amz-checksum-crc32")},
	}
	// Exchanges wait in a pool of each processor: every one is filled many times.
	fill := func() {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for _, q := range own {
					e.do(t, q)
				}
			})
		}
		all.Wait()
	}
	for name, head := range malformedHeads {
		fill()
		for range 4 {
			if answer := rawSocket(t, g.addr, head); strings.Contains(answer, mark) {
				t.Errorf("%s: the answer has something of another account's request: %q", name, answer)
			}
		}
	}
	for _, line := range strings.Split(g.log.String(), "\n") {
		if strings.Contains(line, mark) && !strings.Contains(line, "account="+b.account.Name) {
			t.Errorf("a line about somebody else has something of %s's: %s", b.account.Name, line)
		}
	}
	for _, r := range g.records(t) {
		if line, err := json.Marshal(r); err != nil || r.OwnerID != b.account.ID && bytes.Contains(line, []byte(mark)) {
			t.Errorf("a line of the access log about somebody else has something of %s's: %s %v", b.account.Name, line, err)
		}
	}
}
