package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/sigv4"
)

const (
	region = "us-east-1"
	// answerTime bounds the wait for an answer: an attack may be answered with
	// nothing but silence, and that is an answer.
	answerTime = 15 * time.Second
)

// header is one line of a request's head.
type header struct{ name, value string }

// answer is what came back for one request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) String() string {
	if a == nil {
		return "nothing"
	}
	return fmt.Sprintf("%d %.300q", a.status, a.body)
}

// code is the S3 error code of an error's document.
func (a *answer) code() string {
	_, rest, _ := strings.Cut(string(a.body), "<Code>")
	code, _, _ := strings.Cut(rest, "</Code>")
	return code
}

// signing is a request that is yet to become bytes. The zero payload is the
// body's hash.
type signing struct {
	method, target string
	host           string // default: localhost
	headers        []header
	unsigned       []header // sent and left out of the signature
	payload        string
	body           []byte
	length         int // said of the body when it is not its own; -1: nothing is said
	at             time.Time
}

// wire signs the request for t, or for nobody, and is its bytes.
func (s signing) wire(t *tenant) []byte {
	if s.host == "" {
		s.host = "localhost"
	}
	if s.at.IsZero() {
		s.at = time.Now().UTC()
	}
	if s.payload == "" {
		sum := sha256.Sum256(s.body)
		s.payload = hex.EncodeToString(sum[:])
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n", s.method, s.target, s.host)
	for _, h := range append(s.headers[:len(s.headers):len(s.headers)], s.unsigned...) {
		fmt.Fprintf(&head, "%s: %s\r\n", h.name, h.value)
	}
	if t != nil {
		date := string(sigv4.AppendTime(nil, s.at))
		fmt.Fprintf(&head, "x-amz-date: %s\r\nx-amz-content-sha256: %s\r\nAuthorization: %s\r\n", date, s.payload, s.authorization(t, date))
	}
	switch {
	case s.length > 0:
		fmt.Fprintf(&head, "Content-Length: %d\r\n", s.length)
	case s.length == 0 && (len(s.body) > 0 || s.method == "PUT" || s.method == "POST"):
		fmt.Fprintf(&head, "Content-Length: %d\r\n", len(s.body))
	}
	head.WriteString("\r\n")
	return append(head.Bytes(), s.body...)
}

func (s signing) authorization(t *tenant, date string) string {
	var target sigv4.Target
	if err := target.Parse([]byte(s.target)); err != nil {
		return "" // what cannot be parsed cannot be signed, and must be refused before that
	}
	r := &sigv4.Request{Method: []byte(s.method), Target: &target, Headers: []sigv4.Header{{Name: []byte("host"), Value: []byte(s.host)}}}
	for _, h := range append(s.headers[:len(s.headers):len(s.headers)], header{"x-amz-date", date}, header{"x-amz-content-sha256", s.payload}) {
		r.Headers = append(r.Headers, sigv4.Header{Name: []byte(strings.ToLower(h.name)), Value: []byte(h.value)})
	}
	return string(sigv4.AppendAuthorization(nil, r, t.id, s.key(t), []byte(s.payload), s.at))
}

func (s signing) key(t *tenant) *sigv4.SigningKey {
	return sigv4.NewSigningKey(t.secret, s.at.Format("20060102"), region)
}

// presigned is the request's target as a presigned URL for t.
func (s signing) presigned(t *tenant, expires time.Duration) string {
	if s.at.IsZero() {
		s.at = time.Now().UTC()
	}
	var target sigv4.Target
	if err := target.Parse([]byte(s.target)); err != nil {
		return s.target
	}
	r := &sigv4.Request{Method: []byte(s.method), Target: &target, Headers: []sigv4.Header{{Name: []byte("host"), Value: []byte("localhost")}}}
	path, _, _ := strings.Cut(s.target, "?")
	return path + "?" + string(sigv4.Presign(r, t.id, s.key(t), expires, s.at))
}

// addr is where the product listens for S3.
func (p *site) addr() string { return strings.TrimPrefix(p.Env["S3_ENDPOINT"], "http://") }

// session is one connection of a client.
type session struct {
	net.Conn
	r *bufio.Reader
}

func (p *site) dial(ctx context.Context) (*session, error) { return dialTo(ctx, p.addr()) }

func dialTo(ctx context.Context, addr string) (*session, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &session{c, bufio.NewReader(c)}, c.SetDeadline(time.Now().Add(answerTime))
}

// next reads one answer; nil and no error when the connection is at its end.
func (s *session) next(method string) (*answer, error) {
	if _, err := s.r.Peek(1); errors.Is(err, io.EOF) || isReset(err) {
		return nil, nil //nolint:nilnil // said above
	}
	resp, err := http.ReadResponse(s.r, &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &answer{resp.StatusCode, resp.Header, body}, nil
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && strings.Contains(op.Error(), "reset")
}

// raw sends bytes on a connection of their own, ends the sending, and returns all
// answers.
func (p *site) raw(ctx context.Context, wire []byte) ([]*answer, error) {
	s, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	_, _ = s.Write(wire) // it may be refused before its end
	if half, ok := s.Conn.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
	var all []*answer
	for {
		a, err := s.next(methodOf(wire))
		if a == nil || err != nil {
			return all, err
		}
		all = append(all, a)
	}
}

func methodOf(wire []byte) string {
	method, _, _ := bytes.Cut(wire, []byte(" "))
	return string(method)
}

// send sends a request and returns its answer, the last one.
func (p *site) send(ctx context.Context, t *tenant, s signing) (*answer, error) {
	all, err := p.raw(ctx, s.wire(t))
	if len(all) == 0 {
		return nil, errors.Join(err, errors.New("there was no answer"))
	}
	return all[len(all)-1], err
}

func (p *site) do(ctx context.Context, t *tenant, method, target string, body []byte, headers ...header) (*answer, error) {
	return p.send(ctx, t, signing{method: method, target: target, headers: headers, body: body})
}

// want does a request that must be answered so: the attack's own preparation.
func (p *site) want(ctx context.Context, t *tenant, method, target string, body []byte, status int) error {
	a, err := p.do(ctx, t, method, target, body)
	if err != nil {
		return err
	}
	if a.status != status {
		return fmt.Errorf("%s %s: %s", method, target, a)
	}
	return nil
}

// refused says that an answer is the client's fault: 4xx, or 501 for what is not
// built.
func refused(what string, a *answer) error {
	if a == nil {
		return nil // closed
	}
	if (a.status < 400 || a.status >= 500) && a.status != 501 {
		return broken("%s: %s", what, a)
	}
	return nil
}

// get reads a page that needs no signature.
func (p *site) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
