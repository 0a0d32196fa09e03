package main

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/primecloudpro/primecloud/internal/product"
)

// What of the node strangers can hold, and for how long.

// formOf begins a form with so many bytes of fields.
func formOf(bucket string, fields string) []byte {
	return []byte("POST /" + bucket + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 104857600\r\n\r\n" + fields)
}

func field(name, value string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

func bigForms(ctx context.Context, p *site) error {
	before, err := p.resident(ctx)
	if err != nil {
		return err
	}
	var fifty, thousands strings.Builder
	for i := range 50 {
		fifty.WriteString(field(fmt.Sprintf("x-ignore-%d", i), strings.Repeat("v", 20000)))
	}
	for i := range 20000 {
		thousands.WriteString(field(fmt.Sprint(i), ""))
	}
	var mu sync.Mutex
	var errs []error
	var all sync.WaitGroup
	for range 20 {
		for what, wire := range map[string][]byte{
			"fifty fields":           formOf(p.victim.bucket, fifty.String()),
			"thousands of fields":    formOf(p.victim.bucket, thousands.String()),
			"a head without an end":  formOf(p.victim.bucket, "--b\r\nContent-Disposition: form-data; name=\""+strings.Repeat("n", 1<<20)),
			"a value without an end": formOf(p.victim.bucket, "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n"+strings.Repeat("v", 1<<20)),
			"no boundary":            formOf(p.victim.bucket, strings.Repeat("v", 1<<20)),
		} {
			all.Go(func() {
				s, err := p.dial(ctx)
				if err == nil {
					defer s.Close()
					_, _ = s.Write(wire)
					var a *answer
					a, err = s.next("POST") // while the connection is open: nothing more must be needed
					if err == nil {
						err = refused(what, a)
					} else if !isReset(err) {
						err = broken("%s: it is waited for more: %w", what, err)
					} else {
						err = nil
					}
				}
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
		}
	}
	all.Wait()
	after, err := p.resident(ctx)
	if err != nil {
		return err
	}
	if grown := after - before; grown > 64<<20 {
		errs = append(errs, broken("the node's memory grew by %.0f MiB", grown/(1<<20)))
	}
	return errors.Join(errs...)
}

func waitingForms(ctx context.Context, p *site) error {
	// A node of its own, of which as many forms are more than all that there is.
	q, err := p.node(ctx, ":", "PRIMECLOUD_S3_UNVERIFIED_MIB=1")
	if err != nil {
		return err
	}
	defer func() { _ = q.Stop() }()
	form := func(from byte, fields string) (*session, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}
		c, err := d.DialContext(ctx, "tcp", q.s3)
		if err != nil {
			return nil, err
		}
		s := &session{c, bufio.NewReader(c)}
		_ = s.SetDeadline(time.Now().Add(answerTime))
		_, err = s.Write(formOf(p.victim.bucket, fields))
		return s, err
	}
	busy := 0
	for i := range 120 {
		fields := field("a", strings.Repeat("v", 19000)) + "--b\r\n"
		if i >= 60 {
			fields = field("a", "v") + "--b\r\n" // what is left
		}
		s, err := form(2, fields)
		if err != nil {
			return err
		}
		defer s.Close()
		// Who is refused is told at once; who is waited for is not.
		_ = s.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if a, err := s.next("POST"); err == nil && a != nil && a.status == 503 {
			busy++
		}
	}
	if busy == 0 {
		return errors.New("a hundred forms were not too many")
	}
	s, err := form(3, field("key", "k")+field("file", "x"))
	if err != nil {
		return err
	}
	defer s.Close()
	a, err := s.next("POST")
	if err != nil {
		return err
	}
	return refused("another address's form", a)
}

func waitingDocuments(ctx context.Context, p *site) error {
	hold := func(length, sent int) (*session, error) {
		s, err := p.dial(ctx)
		if err != nil {
			return nil, err
		}
		wire := signing{method: "POST", target: "/" + p.rogue.bucket + "?delete", payload: "UNSIGNED-PAYLOAD", length: length}.wire(p.rogue)
		_, err = s.Write(append(wire, strings.Repeat("<", sent)...))
		return s, err
	}
	for _, c := range []struct{ many, length, sent int }{{40, 8 << 20, 7 << 20}, {60, 256 << 10, 200 << 10}, {20, 40 << 10, 39 << 10}} {
		for range c.many {
			s, err := hold(c.length, c.sent)
			if s != nil {
				defer s.Close()
			}
			if err != nil && !isReset(err) && !errors.Is(err, syscall.EPIPE) {
				return err
			}
		}
	}
	if err := product.Await(ctx, "the documents to be too many", func() (bool, error) {
		n, err := p.metric(ctx, `primecloud_proxy_buffer_refusals_total{kind="documents"}`)
		return n > 0, err
	}); err != nil {
		return err
	}
	doc := []byte("<Delete>" + strings.Repeat("<Object><Key>not there</Key></Object>", 900) + "</Delete>")
	sum := md5.Sum(doc)
	a, err := p.do(ctx, p.victim, "POST", "/"+p.victim.bucket+"?delete", doc, header{"content-md5", base64.StdEncoding.EncodeToString(sum[:])})
	if err != nil {
		return err
	}
	if a.status != 200 {
		return broken("another account's document: %s", a)
	}
	return nil
}
