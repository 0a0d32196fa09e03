package proxy_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// statuses sends a head, and another behind it: at once, or after the first was
// answered. It returns what was answered until the connection ended.
func statuses(t *testing.T, addr, before, wire string, pipelined bool) (got []int) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	br := bufio.NewReader(nc)
	read := func() bool {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			return false
		}
		_, err = io.Copy(io.Discard, resp.Body)
		got = append(got, resp.StatusCode)
		return err == nil
	}
	if pipelined {
		wire = before + wire
	} else if before != "" {
		_, _ = io.WriteString(nc, before)
		read()
	}
	_, _ = io.WriteString(nc, wire)
	_ = nc.(*net.TCPConn).CloseWrite()
	for read() { //nolint:revive // until it ends
	}
	return got
}

// answerTo sends a head in pieces, each on its own, and returns the answer.
func answerTo(t *testing.T, addr string, pieces ...[]byte) (status int, body string) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	for _, p := range pieces {
		_, _ = nc.Write(p)
	}
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Errorf("%q: %v", bytes.Join(pieces, nil), err)
		return 0, ""
	}
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// TestHost_strict holds Host to host [":" port].
func TestHost_strict(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	for host, want := range map[string]int{
		"localhost": 403, "localhost:80": 403, "LOCALHOST.:9000": 403, "localhost:": 403, "127.0.0.1:1": 403, "[::1]": 403, "[::1]:80": 403,
		"localhost:80@evil": 400, "evil@localhost": 400, "localhost:80:80": 400, "localhost:8x": 400, "localhost:-1": 400, "localhost: 80": 400,
		"localhost:800000": 400, "localhost/": 400, "localhost?x": 400, "localhost#x": 400, "loc%61lhost": 400, "local host": 400, "localhost,evil": 400,
		"[::1": 400, "::1": 400, "[::1]x": 400, "[::1]@evil:80": 400, "[localhost]": 400, "[fe80::1%25eth0]": 400, "[]": 400, ".": 400, ":80": 400, "l\u00f6calhost": 400,
		"localhost\x01": 400, "[127.0.0.1]": 400,
	} {
		wire := "GET /boundary/k HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
		status, code := answerTo(t, g.addr, []byte(wire))
		if status != want {
			t.Errorf("Host %q: %d %s, wanted %d", host, status, code, want)
		}
	}
}

// TestHead_lineEnds: each line of a head ends in CR LF. A bare LF or CR in any
// place is refused, on a connection's first request, on a later one and on one
// that was sent without waiting for the answer before it.
func TestHead_lineEnds(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	head := "GET /boundary/k HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n\r\n"
	var bad []string
	for i := range head {
		if head[i] != '\n' {
			continue
		}
		bad = append(bad, head[:i-1]+head[i:], head[:i]+head[i+1:], head[:i]+"\r"+head[i:], head[:i-1]+"\n"+head[i:])
	}
	bad = append(bad, "\n"+head, "\r\n\n"+head, "GET /boundary/k HTTP/1.1\nX: y\r\nHost: localhost\r\n\r\n")
	end := "\r\n\r\n" // what is not ended yet waits for it
	for _, wire := range bad {
		for name, before := range map[string]string{"first": "", "later": head, "pipelined": head} {
			got := statuses(t, g.addr, before, wire+end, name == "pipelined")
			// A bare LF in front of a pipelined request may be the end of a body: that
			// request is asked for again.
			again := name == "pipelined" && strings.Contains(wire, "\nGET ")
			if n := len(got); n == 0 || got[n-1] != 400 && (!again || got[n-1] != 503) || n > 2 {
				t.Errorf("%s %q: answered %v", name, wire, got)
			}
		}
	}
	for name, want := range map[string][]int{"first": {403}, "later": {403, 403}, "pipelined": {403, 403}} {
		before := head
		if name == "first" {
			before = ""
		}
		if got := statuses(t, g.addr, before, head, name == "pipelined"); !slices.Equal(got, want) {
			t.Errorf("%s: %v, wanted %v", name, got, want)
		}
		if got := statuses(t, g.addr, before, "\r\n"+head, name == "pipelined"); !slices.Equal(got, want) {
			t.Errorf("%s behind an empty line: %v, wanted %v", name, got, want)
		}
	}
	// One byte at a time.
	for _, wire := range []string{head, strings.Replace(head, "1.1\r\n", "1.1\n", 1)} {
		want := 403
		if wire != head {
			want = 400
		}
		if status, _ := answerTo(t, g.addr, bytes.Split([]byte(wire), nil)...); status != want {
			t.Errorf("%q byte by byte: %d", wire, status)
		}
	}
}

// A pipelined request that comes in two pieces cannot be looked at whole: it is
// asked for again, and nothing in its second piece passes for its first line.
func TestHead_tornPipelining(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	const whole = "GET /boundary/k HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for _, torn := range [][2]string{
		{"GET /boundary/k HT", "TP/1.1\nHost: localhost\r\nx: GET /boundary/k HTTP/1.1\r\n\r\n"},
		{"GET /boundary/k HTTP/1.1", "\nHost: localhost\r\nx: \r\n\r\nGET /boundary/k HTTP/1.1\r\n\r\n"},
		{whole[:30], whole[30:]},
	} {
		nc, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(time.Minute))
		br := bufio.NewReader(nc)
		var got []int
		for _, piece := range []string{whole + torn[0], torn[1]} {
			_, _ = io.WriteString(nc, piece)
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatalf("%q: %v", torn, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			got = append(got, resp.StatusCode)
		}
		_ = nc.Close()
		if want := []int{403, 503}; !slices.Equal(got, want) {
			t.Errorf("%q: %v, wanted %v", torn, got, want)
		}
	}
}
