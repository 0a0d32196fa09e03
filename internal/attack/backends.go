package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// backends are attacks by a backend: hostile, or only confused.
var backends = part{"backends", []attack{
	{"answers that nobody asked for", "A second answer behind the first, before the request and between requests, on connections that tenants share: each tenant gets answers to its own requests only.", surplusAnswers},
	{"answers that are none", "Heads that are cut, endless, huge, with control bytes and with two lengths; bodies that are short; statuses that no operation has: 503 or a cut connection, and the next request is answered.", wrongAnswers},
	{"redirects", "3xx with a Location inside the operator's network: not followed, and not passed on.", redirects},
	{"complaints about our credential", "SignatureDoesNotMatch, InvalidAccessKeyId, AccessDenied, 401 and 407: 503 for the tenant, whose key is right.", complaints},
	{"answers that are somebody else's", "Pages, error documents in a success, documents of other operations and full disks, to what is asked of a bucket: no bucket is forgotten, nothing is told as deleted, and nobody is told that his objects are gone.", foreignAnswers},
	{"names in answers", "Headers and documents with the backend's names, other people's headers, scripts: none of them reaches a client.", leakingAnswers},
}}

// hostile is a backend whose objects are behaviours: the last part of the key says
// what is done with a request for it.
type hostile struct {
	l    net.Listener
	mu   sync.Mutex
	seen map[string]int // requests of a key

	status, body string // of the answer to what is asked of a bucket; "": a success
}

// answers makes it answer so to what is asked of a bucket.
func (h *hostile) answers(status, body string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status, h.body = status, body
}

// behaviours write an answer and may do worse. The key's rest, behind a colon, is
// what an honest answer holds.
var behaviours = map[string]func(w *bufio.Writer, rest string){
	"echo":    func(w *bufio.Writer, rest string) { respond(w, "200 OK", rest) },
	"surplus": func(w *bufio.Writer, rest string) { respond(w, "200 OK", rest); respond(w, "200 OK", "stolen") },
	"surplus-5": func(w *bufio.Writer, rest string) {
		respond(w, "200 OK", rest)
		for range 5 {
			respond(w, "200 OK", "stolen")
		}
	},
	"surplus-bytes": func(w *bufio.Writer, rest string) { respond(w, "200 OK", rest); _, _ = w.WriteString("stolen") },
	"no-content": func(w *bufio.Writer, rest string) {
		_, _ = w.WriteString("HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nstolen")
	},
	"interim": func(w *bufio.Writer, rest string) {
		_, _ = w.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
		respond(w, "200 OK", rest)
	},
	"garbage":  func(w *bufio.Writer, _ string) { _, _ = w.WriteString("\x00\x01\x02 garbage\r\n\r\n") },
	"cut-head": func(w *bufio.Writer, _ string) { _, _ = w.WriteString("HTTP/1.1 200 OK\r\nContent-Le") },
	"control": func(w *bufio.Writer, _ string) {
		_, _ = w.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Type: a\x00b\r\n\r\nx")
	},
	"two-lengths": func(w *bufio.Writer, _ string) {
		_, _ = w.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 7\r\n\r\nxstolen")
	},
	"both-framings": func(w *bufio.Writer, _ string) {
		_, _ = w.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	},
	"huge-head": func(w *bufio.Writer, _ string) {
		_, _ = w.WriteString("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n")
	},
	"many-headers": func(w *bufio.Writer, _ string) {
		_, _ = w.WriteString("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: a\r\n", 1<<17) + "\r\n")
	},
	"short": func(w *bufio.Writer, _ string) {
		_, _ = w.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
	},
	"negative":   func(w *bufio.Writer, _ string) { _, _ = w.WriteString("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n") },
	"odd-status": func(w *bufio.Writer, _ string) { respond(w, "299 Odd", "stolen") },
	"teapot":     func(w *bufio.Writer, _ string) { respond(w, "600 Beyond", "stolen") },
	"switching": func(w *bufio.Writer, _ string) {
		_, _ = w.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\nstolen")
	},
	"redirect-301":   func(w *bufio.Writer, _ string) { redirect(w, "301 Moved Permanently") },
	"redirect-302":   func(w *bufio.Writer, _ string) { redirect(w, "302 Found") },
	"redirect-307":   func(w *bufio.Writer, _ string) { redirect(w, "307 Temporary Redirect") },
	"redirect-308":   func(w *bufio.Writer, _ string) { redirect(w, "308 Permanent Redirect") },
	"signature":      func(w *bufio.Writer, _ string) { complain(w, "403 Forbidden", "SignatureDoesNotMatch") },
	"key-unknown":    func(w *bufio.Writer, _ string) { complain(w, "403 Forbidden", "InvalidAccessKeyId") },
	"denied":         func(w *bufio.Writer, _ string) { complain(w, "403 Forbidden", "AccessDenied") },
	"clock":          func(w *bufio.Writer, _ string) { complain(w, "403 Forbidden", "RequestTimeTooSkewed") },
	"expired":        func(w *bufio.Writer, _ string) { complain(w, "400 Bad Request", "ExpiredToken") },
	"malformed-auth": func(w *bufio.Writer, _ string) { complain(w, "400 Bad Request", "AuthorizationHeaderMalformed") },
	"unauthorized":   func(w *bufio.Writer, _ string) { respond(w, "401 Unauthorized", "") },
	"proxy-auth":     func(w *bufio.Writer, _ string) { respond(w, "407 Proxy Authentication Required", "") },
	"bare-403":       func(w *bufio.Writer, _ string) { respond(w, "403 Forbidden", "") },
	"leak": func(w *bufio.Writer, rest string) {
		fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nServer: hostile-server\r\nX-Amz-Id-2: hostile-id\r\nX-Hostile: hostile\r\nSet-Cookie: hostile=1\r\nAccess-Control-Allow-Origin: *\r\n"+
			"Strict-Transport-Security: max-age=1; hostile\r\nLocation: http://hostile\r\nX-Minio-Hostile: 1\r\nRefresh: 0; url=http://hostile\r\nAlt-Svc: hostile\r\n\r\n%s", len(rest), rest)
	},
	"leak-error": func(w *bufio.Writer, _ string) {
		respond(w, "404 Not Found", "<Error><Code>NoSuchKey</Code><Message>hostile text</Message><Resource>/hostile-bucket/x</Resource><HostId>hostile</HostId><BucketName>hostile-bucket</BucketName></Error>")
	},
	"leak-page": func(w *bufio.Writer, _ string) {
		_, _ = w.WriteString("HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/html\r\nContent-Length: 32\r\n\r\n<script>alert('hostile')</script")
	},
}

func respond(w io.Writer, status, body string) {
	fmt.Fprintf(w, "HTTP/1.1 %s\r\nContent-Length: %d\r\nETag: \"x\"\r\n\r\n%s", status, len(body), body)
}

func redirect(w io.Writer, status string) {
	_, _ = io.WriteString(w, "HTTP/1.1 "+status+"\r\nLocation: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 6\r\n\r\nstolen")
}

func complain(w io.Writer, status, code string) {
	respond(w, status, "<?xml version=\"1.0\"?><Error><Code>"+code+"</Code><Message>hostile text</Message></Error>")
}

func newHostile() (*hostile, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		return nil, err
	}
	h := &hostile{l: l, seen: map[string]int{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go h.serve(c)
		}
	}()
	return h, nil
}

func (h *hostile) serve(c net.Conn) {
	defer c.Close()
	r, w := bufio.NewReader(c), bufio.NewWriter(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		parts := strings.SplitN(strings.TrimPrefix(req.URL.Path, "/"), "/", 2)
		switch {
		case strings.HasPrefix(req.URL.Path, "/minio/health/"):
			respond(w, "200 OK", "")
		case req.URL.Path == "/":
			respond(w, "200 OK", "<ListAllMyBucketsResult/>")
		case req.URL.Query().Has("object-lock"):
			respond(w, "404 Not Found", "<Error><Code>ObjectLockConfigurationNotFoundError</Code></Error>")
		case len(parts) < 2 || parts[1] == "":
			h.mu.Lock()
			status, body := h.status, h.body
			h.mu.Unlock()
			if status == "" {
				status = "200 OK"
			}
			respond(w, status, body)
		default:
			name, rest, _ := strings.Cut(parts[1], ":")
			h.mu.Lock()
			h.seen[parts[1]]++
			h.mu.Unlock()
			behave, ok := behaviours[name]
			if !ok {
				return
			}
			behave(w, rest)
			if ends(name) {
				_ = w.Flush()
				return
			}
		}
		if w.Flush() != nil {
			return
		}
	}
}

// ends are the behaviours that close the connection.
func ends(name string) bool { return strings.HasPrefix(name, "cut-") || name == "short" }

// withHostile gives two tenants a bucket each on one hostile backend.
func (p *site) withHostile(ctx context.Context) (h *hostile, buckets [2]string, err error) {
	if h, err = newHostile(); err != nil {
		return nil, buckets, err
	}
	name := p.name("hostile")
	if _, err := p.Command(ctx, "backend", "add", name, "--kind", "s3", "--endpoints", "http://"+h.l.Addr().String()); err != nil {
		return nil, buckets, err
	}
	for i, t := range []*tenant{p.victim, p.rogue} {
		buckets[i] = p.name("imported")
		if _, err := p.Command(ctx, "bucket", "import", t.account, buckets[i], "--backend", name); err != nil {
			return nil, buckets, err
		}
	}
	return h, buckets, nil
}

func surplusAnswers(ctx context.Context, p *site) error {
	h, buckets, err := p.withHostile(ctx)
	if err != nil {
		return err
	}
	defer h.l.Close()
	var errs []error
	for _, name := range []string{"surplus", "surplus-5", "surplus-bytes", "no-content", "interim"} {
		for i := range 20 {
			if _, err := p.do(ctx, p.rogue, "GET", fmt.Sprintf("/%s/%s:own", buckets[1], name), nil); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				return err
			}
			own := fmt.Sprintf("victim-%d", i)
			a, err := p.do(ctx, p.victim, "GET", "/"+buckets[0]+"/echo:"+own, nil)
			if err != nil {
				return err
			}
			if a.status == 200 && string(a.body) != own || a.status != 200 && a.status != 503 {
				errs = append(errs, broken("after %s the victim was answered %s", name, a))
			}
		}
	}
	return errors.Join(errs...)
}

func wrongAnswers(ctx context.Context, p *site) error {
	h, buckets, err := p.withHostile(ctx)
	if err != nil {
		return err
	}
	defer h.l.Close()
	var errs []error
	for _, name := range []string{"garbage", "cut-head", "control", "two-lengths", "both-framings", "huge-head", "many-headers", "short", "negative", "odd-status", "teapot", "switching"} {
		all, err := p.raw(ctx, signing{method: "GET", target: "/" + buckets[1] + "/" + name}.wire(p.rogue))
		switch {
		case err != nil && name == "short":
			continue // what was promised did not come, and the connection ended
		case len(all) == 0 && name == "short":
			continue // the same, by a reset
		case len(all) != 1:
			errs = append(errs, broken("%s: %d answers, %v", name, len(all), err))
			continue
		case all[0].status != 503 && all[0].status != 500 && all[0].status != 502 || strings.Contains(string(all[0].body), "stolen"):
			errs = append(errs, broken("%s: %s", name, all[0]))
		}
		a, err := p.do(ctx, p.victim, "GET", "/"+buckets[0]+"/echo:own", nil)
		if err != nil {
			return err
		}
		if a.status != 200 || string(a.body) != "own" {
			errs = append(errs, broken("after %s the victim was answered %s", name, a))
		}
	}
	return errors.Join(errs...)
}

func redirects(ctx context.Context, p *site) error {
	h, buckets, err := p.withHostile(ctx)
	if err != nil {
		return err
	}
	defer h.l.Close()
	var errs []error
	for _, name := range []string{"redirect-301", "redirect-302", "redirect-307", "redirect-308"} {
		for _, s := range []signing{{method: "GET"}, {method: "PUT", body: []byte("x")}, {method: "HEAD"}} {
			s.target = "/" + buckets[1] + "/" + name
			a, err := p.send(ctx, p.rogue, s)
			if err != nil {
				return err
			}
			if a.status != 503 || a.header.Get("Location") != "" || strings.Contains(string(a.body), "stolen") {
				errs = append(errs, broken("%s %s: %s, Location %q", s.method, name, a, a.header.Get("Location")))
			}
		}
	}
	return errors.Join(errs...)
}

func complaints(ctx context.Context, p *site) error {
	h, buckets, err := p.withHostile(ctx)
	if err != nil {
		return err
	}
	defer h.l.Close()
	var errs []error
	for _, name := range []string{"signature", "key-unknown", "denied", "clock", "expired", "malformed-auth", "unauthorized", "proxy-auth", "bare-403"} {
		for _, s := range []signing{{method: "GET"}, {method: "PUT", body: []byte("x")}, {method: "HEAD"}} {
			s.target = "/" + buckets[1] + "/" + name
			a, err := p.send(ctx, p.rogue, s)
			if err != nil {
				return err
			}
			if s.method == "HEAD" && a.status == 400 && (name == "expired" || name == "malformed-auth") {
				continue // without its document a 400 cannot be told from one about the tenant's request
			}
			if a.status != 503 || strings.Contains(string(a.body), "hostile") {
				errs = append(errs, broken("%s %s: %s", s.method, name, a))
			}
		}
	}
	return errors.Join(errs...)
}

func foreignAnswers(ctx context.Context, p *site) error {
	h, buckets, err := p.withHostile(ctx)
	if err != nil {
		return err
	}
	defer h.l.Close()
	var errs []error
	doc := func(code string) string {
		return "<Error><Code>" + code + "</Code><Message>hostile text</Message></Error>"
	}
	for _, k := range [][2]string{
		{"404 Not Found", "<html>stolen</html>"}, {"404 Not Found", ""}, {"404 Not Found", doc("NoSuchKey")}, {"404 Not Found", doc("InvalidAccessKeyId")},
		{"200 OK", doc("NoSuchBucket")}, {"200 OK", "<html>stolen</html>"}, {"200 OK", "stolen"}, {"200 OK", "<ListBucketResult/>"}, {"200 OK", "<DeleteResult><Deleted><Key>stolen</Key></Deleted></DeleteResult>"},
		{"507 Insufficient Storage", doc("XMinioStorageFull")}, {"429 Too Many Requests", doc("TooManyRequests")}, {"503 Service Unavailable", doc("RequestTimeout")},
	} {
		h.answers(k[0], k[1])
		what := k[0] + " " + k[1]
		own := "/" + buckets[1]
		a, err := p.do(ctx, p.rogue, "POST", own+"?delete", []byte("<Delete><Object><Key>k</Key></Object></Delete>"))
		if err != nil {
			return err
		}
		if text := string(a.body); a.status < 400 && !strings.Contains(text, "<Error><Key>k</Key>") || strings.Contains(text, "stolen") || strings.Contains(text, "hostile text") {
			errs = append(errs, broken("DeleteObjects, %s: %s", what, a))
		}
		if a, err = p.do(ctx, p.rogue, "GET", own+"?list-type=2", nil); err != nil {
			return err
		}
		if text := string(a.body); a.status == 404 && !strings.Contains(k[1], "<Code>") || a.status == 500 || strings.Contains(text, "hostile text") {
			errs = append(errs, broken("a listing, %s: %s", what, a))
		}
		if strings.HasPrefix(k[0], "200") {
			continue // a success of DeleteBucket's
		}
		if a, err = p.do(ctx, p.rogue, "DELETE", own, nil); err != nil {
			return err
		}
		if a.status < 400 {
			errs = append(errs, broken("DeleteBucket, %s: %s", what, a))
		}
		errs = append(errs, p.want(ctx, p.rogue, "HEAD", own, nil, 200))
	}
	return errors.Join(errs...)
}

func leakingAnswers(ctx context.Context, p *site) error {
	h, buckets, err := p.withHostile(ctx)
	if err != nil {
		return err
	}
	defer h.l.Close()
	var errs []error
	for _, name := range []string{"leak:own", "leak-error", "leak-page"} {
		a, err := p.do(ctx, p.rogue, "GET", "/"+buckets[1]+"/"+name, nil)
		if err != nil {
			return err
		}
		for field, values := range a.header {
			text := strings.ToLower(field + ": " + strings.Join(values, " "))
			if strings.Contains(strings.ReplaceAll(text, buckets[1], ""), "hostile") || strings.HasPrefix(text, "access-control-") {
				errs = append(errs, broken("%s: %s", name, text))
			}
		}
		if strings.Contains(strings.ReplaceAll(string(a.body), buckets[1], ""), "hostile") {
			errs = append(errs, broken("%s: %s", name, a))
		}
	}
	return errors.Join(errs...)
}
