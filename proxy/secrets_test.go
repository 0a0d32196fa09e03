package proxy_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// secrets are what was sent and may be written nowhere.
type secretList struct {
	mu  sync.Mutex
	all []string
}

// one is a secret of its own, as long as a signature.
func (s *secretList) one() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	text := hex.EncodeToString(b[:])
	s.add(text)
	return text
}

func (s *secretList) add(text ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, text...)
}

var wireSecrets = regexp.MustCompile(`(?i)(?:Signature=|x-amz-signature\r\n\r\n|policy\r\n\r\n)([0-9A-Za-z+/=]{40,})`)

// ofWire adds what a correctly signed request was signed with.
func (s *secretList) ofWire(wire []byte) {
	for _, m := range wireSecrets.FindAllSubmatch(wire, -1) {
		s.add(string(m[1]))
	}
}

// headers are lines of every kind that has a secret.
func (s *secretList) headers() string {
	return "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20200101/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=" + s.one() + "\r\n" +
		"X-Amz-Security-Token: " + s.one() + "\r\nX-Amz-Server-Side-Encryption-Customer-Key: " + s.one() + "\r\n" +
		"x-amz-copy-source-server-side-encryption-customer-key: " + s.one() + "\r\nCookie: a=" + s.one() + "\r\n" +
		"Referer: https://localhost/k?X-Amz-Signature=" + s.one() + "\r\n"
}

func (s *secretList) query() string {
	return "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + s.one() + "&X-Amz-Signature=" + s.one() + "&X-Amz-Security-Token=" + s.one() +
		"&Policy=" + s.one() + "&signature=" + s.one() + "&x-amz-server-side-encryption-customer-key=" + s.one()
}

// found is where one of the secrets stands in a text.
func (s *secretList) found(text []byte) string {
	for _, secret := range s.all {
		if len(secret) >= 40 {
			secret = secret[:len(secret)/2] // half of it is too much
		}
		if bytes.Contains(text, []byte(secret)) {
			return around(text, secret)
		}
	}
	return ""
}

// echo is a backend that quotes in its answers all that it was sent, in every
// place of an answer where somebody might copy it from.
func echo(t testing.TB) *devstack.MinIO {
	t.Helper()
	var n int
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/minio/health/live" {
			return
		}
		quoted := []string{r.RequestURI, string(body)}
		for _, values := range r.Header {
			quoted = append(quoted, values...)
		}
		text := strings.NewReplacer("<", "", ">", "", "&", "").Replace(strings.Join(quoted, " "))
		mu.Lock()
		n++
		turn := n % 6
		mu.Unlock()
		w.Header().Set("X-Amz-Request-Id", strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return -1
			}
			return r
		}, text[:min(len(text), 2000)]))
		switch turn {
		case 0:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, "<Error><Code>InvalidArgument</Code><Message>%s</Message></Error>", text)
		case 1:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<Error><Code>SignatureDoesNotMatch</Code><Message>%s</Message></Error>", text)
		case 2:
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", strings.ReplaceAll(text, " ", ""))
		case 3:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, "<Error><Code>X</Code></%s>", strings.ReplaceAll(text, " ", ""))
		case 4:
			fmt.Fprintf(w, "<a><b></%s></a>", strings.ReplaceAll(text, " ", ""))
		default:
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, text)
		}
	}))
	t.Cleanup(server.Close)
	return &devstack.MinIO{Endpoint: server.URL, AccessKey: "backend", SecretKey: "backend-secret"}
}

// TestLogs_A17_secrets: whatever is sent, well-formed or not, with its secrets
// wherever one can stand, and however the backend quotes it: nothing of them is
// in the log, at debug level, or in the access log.
func TestLogs_A17_secrets(t *testing.T) {
	t.Parallel()
	s := &secretList{}
	for name, backend := range map[string]*devstack.MinIO{"a recorder": nil, "an echo": echo(t)} {
		o := options{tls: true, minio: backend}
		if backend == nil {
			o.minio = &devstack.MinIO{Endpoint: "http://" + newRecorder(t).l.Addr().String(), AccessKey: "backend", SecretKey: "backend-secret"}
		}
		g := newGateway(t, o)
		b := &boundary{g: g, tn: g.tenant(), upload: "none"}
		s.add(b.tn.key.Secret, "backend-secret")
		// The bucket is there, whatever the backend says of its making.
		made, err := tenancy.ReserveBucket(t.Context(), g.owner, b.tn.account.ID, boundaryBucket, false, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.dir.ActivateBucket(t.Context(), made); err != nil {
			t.Fatal(err)
		}
		sent := 0
		send := func(wire string) {
			t.Helper()
			sent++
			rawSocket(t, g.addr, wire)
		}
		// All that is well-formed, as it is signed, and with one thing wrong.
		for _, seed := range boundarySeeds {
			c := newSent(seed.way, seed.method, seed.target, seed.lines, []byte(seed.body))
			wire := b.wire(t, c)
			s.ofWire(wire)
			for _, w := range []string{
				string(wire),
				strings.Replace(string(wire), "\r\n", "\r\n"+s.headers(), 1),
				strings.Replace(string(wire), "\r\n", "\r\nbroken\r\n", 1),
				strings.Replace(string(wire), "\r\n\r\n", "\r\nbro ken: a\r\n\r\n", 1),
				strings.Replace(string(wire), " HTTP/1.1", "\x01 HTTP/1.1", 1),
				strings.Replace(string(wire), "Content-Length: ", "Content-Length: 9", 1),
				strings.Replace(string(wire), "Content-Length: ", "Transfer-Encoding: chunked\r\nX: ", 1),
				string(wire[:len(wire)*2/3]),
			} {
				send(w)
			}
		}
		for _, head := range malformedHeads {
			first, rest, _ := strings.Cut(head, "\r\n")
			send(first + "\r\n" + s.headers() + rest)                                // before what is wrong
			send(strings.Replace(head, "\r\n\r\n", "\r\n"+s.headers()+"\r\n", 1))    // behind it
			send(strings.Replace(head, "/x", "/x"+s.query(), 1))                     // in the target
			send(strings.Replace(head, "/x", "http://u:"+s.one()+"@localhost/x", 1)) // in front of a host
			send(strings.Replace(head, "\r\n\r\n", "\r\nAuthorization:"+strings.Repeat(s.one(), 400)+"\r\n\r\n", 1))
		}
		put := "PUT /boundary/dir/k HTTP/1.1\r\nHost: localhost\r\n"
		form := func(fields string) string {
			body := fields + "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n"
			return fmt.Sprintf("POST /boundary HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
		field := func(name, value string) string {
			return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
		}
		for _, w := range []string{
			// Chunks, trailers, and bodies that are neither.
			put + "Transfer-Encoding: chunked\r\n" + s.headers() + "\r\n5;chunk-signature=" + s.one() + "\r\nabcde\r\n0\r\nx-amz-trailer-signature: " + s.one() + "\r\n\r\n",
			put + "Transfer-Encoding: chunked\r\n" + s.headers() + "\r\n" + s.one() + "\r\n",
			put + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcdef" + s.one() + "\r\n",
			put + "Transfer-Encoding: chunked\r\n\r\n5 " + s.one() + "\r\nabcde\r\n",
			put + "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\nx-amz-decoded-content-length: 5\r\nContent-Length: 200\r\n" + s.headers() + "\r\n5;chunk-signature=" + s.one() + "\r\nabcde\r\n",
			put + "Expect: 100-continue\r\nContent-Length: 5\r\n" + s.headers() + "\r\n",
			// Forms.
			form(field("key", "k") + field("policy", b64(s.one())) + field("x-amz-signature", s.one()) + field("x-amz-credential", s.one())),
			form(field("key", "k") + field("AWSAccessKeyId", "AKIA") + field("signature", s.one()) + field("policy", s.one()) + field("x-amz-security-token", s.one())),
			form(field("key", "k") + field("x-amz-server-side-encryption-customer-key", s.one())),
			form("--b\r\nContent-Disposition: form-data; name=\"" + s.one() + "\r\n\r\n" + s.one() + "\r\n"),
			form("--b\r\nbro ken " + s.one() + "\r\n\r\n" + s.one() + "\r\n"),
			strings.Replace(form(field("policy", s.one())), "boundary=b", "boundary="+s.one(), 1),
		} {
			send(w)
		}
		// What a customer's key encrypts, with every operation that takes one, to
		// the backend and back.
		key := b64(strings.Repeat("k", 32))
		s.add(key)
		sse := []string{"x-amz-server-side-encryption-customer-algorithm", "AES256", "x-amz-server-side-encryption-customer-key", key, "x-amz-server-side-encryption-customer-key-md5", contentMD5([]byte(strings.Repeat("k", 32)))}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // it is the test's own
		for range 6 {                                                                                              // every answer of the echo's
			for _, q := range []*request{
				{method: "PUT", path: "/boundary/k", body: []byte("x"), header: headers(sse...)},
				{method: "GET", path: "/boundary/k", header: headers(sse...)},
				{method: "HEAD", path: "/boundary/k", header: headers(sse...)},
				{method: "POST", path: "/boundary/k", query: query("uploads", ""), header: headers(sse...)},
				{method: "GET", path: "/boundary/k", query: query("attributes", ""), header: headers(append(sse, "x-amz-object-attributes", "ETag")...)},
				{method: "PUT", path: "/boundary/k2", header: headers(append(sse, "x-amz-copy-source", "boundary/k")...)},
				{method: "PUT", path: "/boundary/k", body: []byte("x"), presign: true, header: headers(sse...)},
			} {
				r := (&endpoint{g.tlsAddr, b.tn.key.KeyID, b.tn.key.Secret}).build(t, q)
				r.URL.Scheme = "https"
				for _, m := range wireSecrets.FindAllStringSubmatch(r.Header.Get("Authorization")+r.URL.RawQuery, -1) {
					s.add(m[1])
				}
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				sent++
			}
		}
		testenv.WaitFor(t, "every line", func() bool { return len(g.records(t)) >= sent*9/10 })
		text := []byte(g.log.String())
		if len(text) < sent*50 {
			t.Errorf("%s: %d bytes of log about %d requests: it was not at debug level", name, len(text), sent)
		}
		if found := s.found(text); found != "" {
			t.Errorf("%s: the log has a secret: %q", name, found)
		}
		for _, word := range []string{"aws4_request", "Authorization:", "authorization:"} {
			if bytes.Contains(text, []byte(word)) {
				t.Errorf("%s: the log has %s: %q", name, word, around(text, word))
			}
		}
		files, err := os.ReadDir(g.logDir)
		if err != nil || !slices.ContainsFunc(files, func(f os.DirEntry) bool { return strings.HasPrefix(f.Name(), "unproven-") }) {
			t.Fatal(files, err)
		}
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(g.logDir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if found := s.found(text); found != "" {
				t.Errorf("%s: %s has a secret: %q", name, f.Name(), found)
			}
		}
		t.Logf("%s: %d requests, %d secrets, %d bytes of log", name, sent, len(s.all), len(text))
	}
	if len(s.all) < 1000 {
		t.Errorf("%d secrets are not all", len(s.all))
	}
}
