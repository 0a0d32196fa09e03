package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/product"
)

// strangers have no key. What they may cost is bounded: memory, time, lines of the
// log, connections, queries.
var strangers = part{"strangers", []attack{
	{"expensive heads", "Heads of 16 KB with thousands of parameters, header lines, signed names and commas: each costs the node at most 1 ms of processor time.", expensiveHeads},
	{"forms without a key", "Forms whose fields before the policy are megabytes, and a part's head without an end: refused after 20 kB, memory of the node does not grow.", bigForms},
	{"a trickle", "Fifty uploads and forms of which a byte comes now and then: cut.", trickle},
	{"forms that wait", "A hundred forms of one address that hold all they may and send no more: forms from other addresses are looked at meanwhile.", waitingForms},
	{"documents that wait", "Documents of 8 MiB by one key, of which the end does not come, and small ones until it gets SlowDown: another account's document is taken meanwhile.", waitingDocuments},
	{"lines of the log", "Requests with targets, user agents and referers of 15 KB of invalid bytes: a line stays below 8 KiB, and a flood writes no more than its own budget.", logFlood},
	{"invented hosts, buckets and keys", "Thousands of names that do not exist, by 64 connections at once: they never hold more than their part of the connections to PostgreSQL, and the victim's keys are served meanwhile, one that the node has not seen before among them.", inventedNames},
	{"connections", "More connections of one address than it may have: refused at once, other addresses are served.", manyConnections},
	{"no descriptors left", "The node may open nothing more, and strangers connect: it goes on, and serves when there are some again.", noDescriptors},
}}

// processor is the processor time that the node has used, in seconds.
func (p *site) processor(ctx context.Context) (float64, error) {
	return p.metric(ctx, "process_cpu_seconds_total")
}

// resident is the node's memory in bytes.
func (p *site) resident(ctx context.Context) (float64, error) {
	return p.metric(ctx, "process_resident_memory_bytes")
}

// worstHeads are as large as a head may be, and made to be worked on for long.
func worstHeads(p *site) map[string][]byte {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := 0; b.Len() < 15000 && i < n; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	line := func(target, lines string) []byte {
		return []byte("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + lines + "\r\n")
	}
	credential := "AWS4-HMAC-SHA256 Credential=" + p.victim.id + "/" + time.Now().UTC().Format("20060102") + "/us-east-1/s3/aws4_request, SignedHeaders="
	date := "x-amz-date: " + time.Now().UTC().Format("20060102T150405Z") + "\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"
	names := strings.TrimSuffix(many(700, "h%d;"), ";")
	return map[string][]byte{
		"parameters":          line("/b/k?"+many(5000, "%d&"), ""),
		"equal parameters":    line("/b/k?"+strings.Repeat("a&", 7000), ""),
		"long parameters":     line("/b/k?"+many(5000, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%d&"), ""),
		"escapes":             line("/b/"+strings.Repeat("%41", 5000), ""),
		"header lines":        line("/b/k", many(3000, "h%d:\r\n")),
		"equal header lines":  line("/b/k", strings.Repeat("a:\r\n", 3500)),
		"hosts":               line("/b/k", strings.Repeat("host: a\r\n", 1600)),
		"signed names":        line("/b/k", date+"Authorization: "+credential+many(2500, "h%d;")+"host, Signature="+strings.Repeat("0", 64)+"\r\n"),
		"signed header lines": line("/b/k", date+strings.ReplaceAll(names[:len(names)/2], ";", ":\r\n")+":\r\nAuthorization: "+credential+names[:len(names)/2]+", Signature="+strings.Repeat("0", 64)+"\r\n"),
		"spaces":              line("/b/k", date+"x-amz-meta-a: "+strings.Repeat("a  ", 4800)+"\r\nAuthorization: "+credential+"host;x-amz-meta-a, Signature="+strings.Repeat("0", 64)+"\r\n"),
		"connection":          line("/b/k", "Connection: "+strings.Repeat("close,", 2400)+"\r\n"),
		"forwarded":           line("/b/k", "X-Forwarded-For: "+strings.Repeat("1.1.1.1,", 1800)+"\r\n"),
	}
}

func expensiveHeads(ctx context.Context, p *site) error {
	const times = 300
	var errs []error
	for what, wire := range worstHeads(p) {
		before, err := p.processor(ctx)
		if err != nil {
			return err
		}
		for range times {
			if _, err := p.raw(ctx, wire); err != nil && !isReset(err) {
				return fmt.Errorf("%s: %w", what, err)
			}
		}
		after, err := p.processor(ctx)
		if err != nil {
			return err
		}
		// Everything counts: the connection, the answer, the line of the log at debug level.
		if each := (after - before) / times; each > 0.001 {
			errs = append(errs, broken("%s: %.2f ms of processor time each", what, each*1000))
		}
	}
	return errors.Join(errs...)
}

func trickle(ctx context.Context, p *site) error {
	form := string(formOf(p.victim.bucket, "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n"))
	upload := string(signing{method: "PUT", target: "/" + p.rogue.bucket + "/trickled", payload: "UNSIGNED-PAYLOAD", length: 1 << 20}.wire(p.rogue))
	head := "GET / HTTP/1.1\r\nHost: localhost\r\nx: "
	var mu sync.Mutex
	var errs []error
	var all sync.WaitGroup
	for range 17 {
		for what, wire := range map[string]string{"a form": form, "an upload": upload, "a head": head} {
			all.Go(func() {
				err := p.trickle(ctx, wire)
				if err != nil {
					err = broken("%s: %w", what, err)
				}
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
		}
	}
	all.Wait()
	return errors.Join(append(errs, p.storesNothing(ctx, "trickled"))...)
}

// trickle sends a beginning and then a byte every half second; it returns when the
// product has had enough.
func (p *site) trickle(ctx context.Context, wire string) error {
	s, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.SetDeadline(time.Now().Add(attackTime)); err != nil {
		return err
	}
	if _, err := s.Write([]byte(wire)); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = s.next("GET")
	}()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return errors.New("it is still waited for")
		case <-tick.C:
			_, _ = s.Write([]byte("a"))
		}
	}
}

func logFlood(ctx context.Context, p *site) error {
	long := strings.Repeat("\xff\xfe\x01", 1200)
	mark := p.name("flood")
	for _, wire := range []string{
		"GET /" + p.victim.bucket + "/" + mark + strings.Repeat("%ff", 4500) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /" + p.victim.bucket + "/" + mark + strings.Repeat("\xff", 12000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /" + p.victim.bucket + "/" + mark + " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: " + strings.ReplaceAll(long, "\x01", "\xfd") + "\r\nReferer: " + strings.ReplaceAll(long, "\x01", "\xfd") + "\r\n\r\n",
		"GET /" + mark + " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: " + strings.Repeat("\"\\<&", 3000) + "\r\n\r\n",
	} {
		if _, err := p.raw(ctx, []byte(wire)); err != nil && !isReset(err) {
			return err
		}
	}
	before, err := p.accessLog()
	if err != nil {
		return err
	}
	// One connection, as fast as it goes, for five seconds.
	sent := 0
	end := time.Now().Add(5 * time.Second)
	wire := []byte("GET /" + p.victim.bucket + "/" + mark + " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: " + strings.Repeat("\xff", 14000) + "\r\n\r\n")
	s, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	for time.Now().Before(end) {
		if _, err := s.Write(wire); err != nil {
			break
		}
		if a, err := s.next("GET"); a == nil || err != nil {
			break
		}
		sent++
	}
	var after []byte
	if err := product.Await(ctx, "the access log", func() (bool, error) {
		was := len(after)
		after, err = p.accessLog()
		return len(after) == was, err
	}); err != nil {
		return err
	}
	if sent < 100 {
		return fmt.Errorf("only %d requests were answered in 5 s", sent)
	}
	var errs []error
	for line := range bytes.Lines(after) {
		if len(line) > 8<<10 {
			errs = append(errs, broken("a line of the access log has %d bytes", len(line)))
			break
		}
	}
	if grown := len(after) - len(before); grown > 10<<20 {
		errs = append(errs, broken("%d requests without a key wrote %d MiB in 5 s", sent, grown>>20))
	}
	return errors.Join(errs...)
}

// mostQueries looks at PostgreSQL until all have ended: the most of a gateway's
// connections that were at work at once.
func (p *site) mostQueries(ctx context.Context, all *sync.WaitGroup) (most int, err error) {
	conn, err := pgx.Connect(ctx, p.Env["DATABASE_URL"])
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	for {
		select {
		case <-ended:
			return most, nil
		default:
		}
		var n int
		if err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE usename = 'primecloud_gateway' AND state <> 'idle'`).Scan(&n); err != nil {
			return 0, err
		}
		most = max(most, n)
	}
}

func inventedNames(ctx context.Context, p *site) error {
	const names = 3000
	var errs []error
	for what, wire := range map[string]func(i int) []byte{
		"hosts": func(i int) []byte {
			return []byte(fmt.Sprintf("GET / HTTP/1.1\r\nHost: invented-%d.example.com\r\n\r\n", i))
		},
		"accounts": func(i int) []byte {
			return []byte(fmt.Sprintf("GET / HTTP/1.1\r\nHost: invented-%d.tenants.localhost\r\n\r\n", i))
		},
		"buckets": func(i int) []byte {
			return []byte(fmt.Sprintf("GET /invented-%d/k HTTP/1.1\r\nHost: %s.tenants.localhost\r\n\r\n", i, p.victim.account))
		},
		"keys": func(i int) []byte {
			return signing{method: "GET", target: "/"}.wire(&tenant{id: fmt.Sprintf("PCINVENTED%010d", i), secret: "x"})
		},
	} {
		fresh := *p.victim
		if err := p.newKey(ctx, &fresh); err != nil {
			return err
		}
		served := make(chan error, 1)
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					served <- nil
					return
				default:
				}
				if err := errors.Join(p.alive(ctx), p.want(ctx, &fresh, "GET", "/"+fresh.bucket+"/"+object, nil, 200)); err != nil {
					served <- err
					return
				}
			}
		}()
		var all sync.WaitGroup
		for w := range 64 {
			all.Go(func() {
				for i := w; i < names; i += 64 {
					_, _ = p.raw(ctx, wire(i))
				}
			})
		}
		most, err := p.mostQueries(ctx, &all)
		if err != nil {
			return err
		}
		// The lanes are a quarter of the pool each, and few things else ask.
		if most > 16 {
			errs = append(errs, broken("%s: %d connections to PostgreSQL were at work at once", what, most))
		}
		close(stop)
		if err := <-served; err != nil {
			errs = append(errs, broken("%s: the victim is not served: %w", what, err))
		}
	}
	return errors.Join(errs...)
}

func manyConnections(ctx context.Context, p *site) error {
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	// All of 127.0.0.2's; the victim comes from 127.0.0.1.
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	refusedAt := 0
	for i := range 3000 {
		c, err := d.DialContext(ctx, "tcp", p.addr())
		if err != nil {
			return err
		}
		open = append(open, c)
		if i%100 == 99 {
			// A connection that is kept is silent; one that is refused ends.
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			if n, err := c.Read(make([]byte, 512)); err == nil && n > 0 || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				refusedAt = i
				break
			}
		}
	}
	if refusedAt == 0 {
		return broken("one address has %d connections", len(open))
	}
	return p.alive(ctx)
}

func noDescriptors(ctx context.Context, p *site) (err error) {
	q, err := p.node(ctx, "ulimit -n 760")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Stop()) }()
	var open []net.Conn
	for i := range 1000 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i/10+1))}, Timeout: time.Second}
		c, err := d.DialContext(ctx, "tcp", q.s3)
		if err != nil {
			break // the kernel's queue is full
		}
		open = append(open, c)
	}
	select {
	case <-q.Done():
		return broken("the node has ended: %v: %s", q.Err(), q.log)
	case <-time.After(time.Second):
	}
	for _, c := range open {
		_ = c.Close()
	}
	return product.Await(ctx, "the node to serve again", func() (bool, error) {
		select {
		case <-q.Done():
			return false, broken("the node has ended: %v: %s", q.Err(), q.log)
		default:
		}
		s, err := dialTo(ctx, q.s3)
		if err != nil {
			return false, nil //nolint:nilerr // asked again
		}
		defer s.Close()
		if _, err := s.Write(signing{method: "GET", target: "/" + p.victim.bucket + "/" + object}.wire(p.victim)); err != nil {
			return false, nil //nolint:nilerr // asked again
		}
		a, err := s.next("GET")
		return err == nil && a != nil && a.status == 200, nil
	})
}
