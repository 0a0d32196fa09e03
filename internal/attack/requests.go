package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// requests are made of single requests, by strangers and by tenants.
var requests = part{"requests", []attack{
	{"another account's bucket", "Each operation on the victim's bucket with the attacker's key: 403 or 404, and the victim's object stays.", foreignBucket},
	{"no signature", "Each operation without a signature, with an empty and with a wrong one: 403.", noSignature},
	{"query credential with an unsigned trailer", "A PUT whose only credential is in the query, with a made-up signature and an unsigned trailer (CVE-2026-41145): no object.", queryCredential},
	{"unsigned headers", "A presigned PUT with headers that its owner did not sign: copy source, metadata, tags, ACL, archive extraction: 403, no object.", unsignedHeaders},
	{"old and future signatures", "Requests of 16 minutes ago and ahead, and a presigned URL past its end: 403.", oldSignatures},
	{"bodies that were not signed", "Uploads with a wrong hash, a wrong chunk signature, a chunk that promises more, and cut ones: no object.", wrongBodies},
	{"two requests in one", "Line ends, NULs and second requests in header values, parameters and fields: no answer is one too many, no object.", twoInOne},
	{"framing", "Two lengths, length and coding, signs, chunk tricks, bare line feeds, with a second request behind: refused, the connection ends.", framing},
	{"hosts", "Host headers with users, ports that are none, paths, spaces and a second name, and targets with an authority: 4xx.", hosts},
	{"names that leave the bucket", "Dot segments, encoded slashes, NULs and the backend's reserved names as keys, copy sources and in delete documents: 4xx.", leavingNames},
	{"the backend's own surface", "MinIO's administration, health, metrics, event streams and archive reading, signed by a tenant: 4xx, nothing of MinIO in the answer.", backendSurface},
}}

// everyOperation is one request of each kind, on a bucket.
func everyOperation(bucket string) []signing {
	b, k := "/"+bucket, "/"+bucket+"/"+object
	return []signing{
		{method: "GET", target: k}, {method: "HEAD", target: k}, {method: "GET", target: b + "?list-type=2"}, {method: "GET", target: b + "?versions"},
		{method: "GET", target: b + "?uploads"}, {method: "HEAD", target: b}, {method: "GET", target: k + "?tagging"}, {method: "GET", target: k + "?attributes", headers: []header{{"x-amz-object-attributes", "ETag"}}},
		{method: "GET", target: b + "?policy"}, {method: "GET", target: b + "?lifecycle"}, {method: "GET", target: b + "?versioning"}, {method: "GET", target: b + "?logging"},
		{method: "PUT", target: k, body: []byte("overwritten")}, {method: "DELETE", target: k}, {method: "DELETE", target: b},
		{method: "POST", target: b + "?delete", body: []byte("<Delete><Object><Key>" + object + "</Key></Object></Delete>")},
		{method: "POST", target: k + "?uploads"}, {method: "PUT", target: k + "?tagging", body: []byte("<Tagging><TagSet/></Tagging>")},
		{method: "PUT", target: b + "?versioning", body: []byte("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>")},
		{method: "DELETE", target: b + "?policy"}, {method: "DELETE", target: b + "?lifecycle"},
	}
}

func denied(what string, a *answer) error {
	if a.status != 403 && a.status != 404 {
		return broken("%s: %s", what, a)
	}
	return nil
}

func foreignBucket(ctx context.Context, p *site) error {
	var errs []error
	for _, s := range everyOperation(p.victim.bucket) {
		a, err := p.send(ctx, p.rogue, s)
		if err != nil {
			return err
		}
		errs = append(errs, denied(s.method+" "+s.target, a))
	}
	for _, source := range []string{p.victim.bucket + "/" + object, "/" + p.victim.bucket + "/" + object, p.victim.bucket + "%2F" + object, url.PathEscape(p.victim.bucket + "/" + object)} {
		a, err := p.do(ctx, p.rogue, "PUT", "/"+p.rogue.bucket+"/taken", nil, header{"x-amz-copy-source", source})
		if err != nil {
			return err
		}
		if a.status < 400 || a.status >= 500 {
			errs = append(errs, broken("copy source %s: %s", source, a))
		}
	}
	return errors.Join(errs...)
}

func noSignature(ctx context.Context, p *site) error {
	var errs []error
	for _, s := range everyOperation(p.victim.bucket) {
		for what, wire := range map[string][]byte{
			"without":   s.wire(nil),
			"empty":     signatureOf(s.wire(p.victim), ""),
			"zeros":     signatureOf(s.wire(p.victim), strings.Repeat("0", 64)),
			"short":     signatureOf(s.wire(p.victim), strings.Repeat("a", 63)),
			"no secret": s.wire(&tenant{id: p.victim.id}),
		} {
			all, err := p.raw(ctx, wire)
			if err != nil || len(all) != 1 {
				return fmt.Errorf("%d answers, %w", len(all), err)
			}
			if what == "empty" || what == "short" {
				errs = append(errs, refused(what+" "+s.method+" "+s.target, all[0]))
			} else {
				errs = append(errs, denied(what+" "+s.method+" "+s.target, all[0]))
			}
		}
	}
	return errors.Join(errs...)
}

// signatureOf replaces the signature.
func signatureOf(wire []byte, signature string) []byte {
	before, rest, _ := bytes.Cut(wire, []byte("Signature="))
	_, after, _ := bytes.Cut(rest, []byte("\r\n"))
	return bytes.Join([][]byte{before, []byte("Signature=" + signature + "\r\n"), after}, nil)
}

func queryCredential(ctx context.Context, p *site) error {
	mark := p.name("forged")
	var errs []error
	for _, id := range []string{p.victim.id, p.Env["BACKEND_ACCESS_KEY"]} {
		for _, name := range []string{"X-Amz-Credential", "x-amz-credential", "X-AMZ-CREDENTIAL"} {
			s := signing{method: "PUT", target: "/" + p.victim.bucket + "/" + mark + "?" + name + "=" + url.QueryEscape(id+"/20261130/us-east-1/s3/aws4_request"),
				body:    []byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"),
				headers: []header{{"x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, {"x-amz-decoded-content-length", "5"}, {"x-amz-trailer", "x-amz-checksum-crc32"}, {"content-encoding", "aws-chunked"}}}
			a, err := p.send(ctx, nil, s)
			if err != nil {
				return err
			}
			errs = append(errs, refused(name, a))
		}
	}
	return errors.Join(append(errs, p.storesNothing(ctx, mark))...)
}

func unsignedHeaders(ctx context.Context, p *site) error {
	mark := p.name("unsigned")
	var errs []error
	for _, h := range []header{
		{"x-amz-copy-source", p.victim.bucket + "/" + object}, {"X-Amz-Meta-Snowball-Auto-Extract", "true"}, {"x-amz-meta-a", "b"}, {"x-amz-tagging", "a=b"},
		{"x-amz-acl", "private"}, {"x-amz-storage-class", "STANDARD"}, {"x-amz-server-side-encryption", "AES256"}, {"x-amz-security-token", "x"},
		{"x-amz-object-lock-mode", "COMPLIANCE"}, {"x-minio-extract", "true"}, {"x-minio-source-etag", "00000000000000000000000000000000"}, {"x-amz-decoded-content-length", "1"},
	} {
		s := signing{method: "PUT", target: "/" + p.victim.bucket + "/" + mark, unsigned: []header{h}, body: []byte("x")}
		s.target = signing{method: "PUT", target: s.target}.presigned(p.victim, time.Minute)
		a, err := p.send(ctx, nil, s)
		if err != nil {
			return err
		}
		if strings.HasPrefix(h.name, "x-minio-") && a.status == 200 {
			// It asks for nothing that the gateway passes on: the object must be an ordinary one.
			head, err := p.do(ctx, p.victim, "HEAD", "/"+p.victim.bucket+"/"+mark, nil)
			if err != nil {
				return err
			}
			if head.header.Get("ETag") != `"9dd4e461268c8034f5c8564e155c67a6"` {
				errs = append(errs, broken("%s changed the object: %v", h.name, head.header))
			}
			if err := p.want(ctx, p.victim, "DELETE", "/"+p.victim.bucket+"/"+mark, nil, 204); err != nil {
				return err
			}
			continue
		}
		errs = append(errs, refused(h.name, a))
		b, err := p.do(ctx, p.victim, "PUT", "/"+p.victim.bucket+"/"+mark, []byte("x"), header{"x-amz-meta-snowball-auto-extract", "true"})
		if err != nil {
			return err
		}
		errs = append(errs, refused("archive extraction, signed", b))
	}
	return errors.Join(append(errs, p.storesNothing(ctx, mark))...)
}

func oldSignatures(ctx context.Context, p *site) error {
	var errs []error
	target := "/" + p.victim.bucket + "/" + object
	for _, d := range []time.Duration{-16 * time.Minute, 16 * time.Minute, -24 * time.Hour, 24 * time.Hour, -10 * 365 * 24 * time.Hour} {
		a, err := p.send(ctx, p.victim, signing{method: "GET", target: target, at: time.Now().UTC().Add(d)})
		if err != nil {
			return err
		}
		errs = append(errs, denied(d.String(), a))
	}
	s := signing{method: "GET", target: target, at: time.Now().UTC().Add(-time.Hour)}
	for _, expires := range []time.Duration{time.Minute, 59 * time.Minute} {
		a, err := p.send(ctx, nil, signing{method: "GET", target: s.presigned(p.victim, expires)})
		if err != nil {
			return err
		}
		errs = append(errs, denied("an hour old, good for "+expires.String(), a))
	}
	return errors.Join(errs...)
}

func wrongBodies(ctx context.Context, p *site) error {
	mark := p.name("wrong")
	n := 0
	put := func(s signing) error {
		n++
		s.method, s.target = "PUT", fmt.Sprintf("/%s/%s-%d", p.victim.bucket, mark, n)
		all, err := p.raw(ctx, s.wire(p.victim))
		if err != nil && !isReset(err) {
			return nil //nolint:nilerr // cut off: nothing was said
		}
		for _, a := range all {
			if a.status < 400 {
				return broken("%+v: %s", s.headers, a)
			}
		}
		return nil
	}
	chunked := func(payload, framed string, more ...header) signing {
		return signing{payload: payload, body: []byte(framed), headers: append([]header{{"x-amz-decoded-content-length", "5"}}, more...)}
	}
	trailer := header{"x-amz-trailer", "x-amz-checksum-crc32"}
	wrong := ";chunk-signature=" + strings.Repeat("0", 64)
	var errs []error
	for _, s := range []signing{
		{body: []byte("other"), payload: strings.Repeat("0", 64)},
		{body: []byte("hello"), headers: []header{{"content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="}}},
		{body: []byte("hello"), headers: []header{{"x-amz-checksum-crc32", "AAAAAA=="}}},
		{body: []byte("hell"), length: 5, payload: "UNSIGNED-PAYLOAD"},
		{body: []byte("hell"), length: 1 << 20, payload: "UNSIGNED-PAYLOAD"},
		chunked("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "5"+wrong+"\r\nhello\r\n0"+wrong+"\r\n\r\n"),
		chunked("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "ffffff"+wrong+"\r\nhello"),
		chunked("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", trailer),
		chunked("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5\r\nhello\r\n0\r\n\r\n", trailer),
		chunked("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5\r\nhello\r\n", trailer),
		chunked("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "4\r\nhell\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", trailer),
		chunked("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "6\r\nhello!\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", trailer),
		chunked("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "-5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", trailer),
	} {
		errs = append(errs, put(s))
	}
	return errors.Join(append(errs, p.storesNothing(ctx, mark))...)
}

// second is a request of the attacker's own choice, to be hidden in another.
const second = "\r\n\r\nPUT /smuggled/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"

func twoInOne(ctx context.Context, p *site) error {
	var errs []error
	for _, hidden := range []string{second, "\n\nDELETE / HTTP/1.1\n\n", "\r\nx-minio-force-delete: true", "\r\nx-amz-copy-source: " + p.victim.bucket + "/" + object, "\x00", "a\rb", "a\nb"} {
		e := url.QueryEscape(hidden)
		for what, s := range map[string]signing{
			"a hoisted header's value": {method: "PUT", target: "/" + p.rogue.bucket + "/smuggled?x-amz-meta-a=" + e, body: []byte("x")},
			"a hoisted header's name":  {method: "PUT", target: "/" + p.rogue.bucket + "/smuggled?x-amz-meta-a" + e + "=b", body: []byte("x")},
			"a response header":        {method: "GET", target: "/" + p.rogue.bucket + "/" + object + "?response-content-type=" + e},
			"an upload id":             {method: "PUT", target: "/" + p.rogue.bucket + "/smuggled?partNumber=1&uploadId=" + e, body: []byte("x")},
			"a version":                {method: "GET", target: "/" + p.rogue.bucket + "/" + object + "?versionId=" + e},
			"a copy source":            {method: "PUT", target: "/" + p.rogue.bucket + "/smuggled", headers: []header{{"x-amz-copy-source", p.rogue.bucket + "/" + object + "?versionId=" + e}}},
		} {
			wires := [][]byte{s.wire(p.rogue)}
			if s.headers == nil {
				wires = append(wires, signing{method: s.method, target: s.presigned(p.rogue, time.Minute), body: s.body}.wire(nil))
			}
			for _, wire := range wires {
				all, err := p.raw(ctx, wire)
				if err != nil {
					return err
				}
				if len(all) != 1 {
					errs = append(errs, broken("%s with %q: %d answers", what, hidden, len(all)))
					continue
				}
				errs = append(errs, refused(fmt.Sprintf("%s with %q", what, hidden), all[0]))
			}
		}
	}
	return errors.Join(append(errs, p.storesNothing(ctx, "smuggled"))...)
}

func framing(ctx context.Context, p *site) error {
	var errs []error
	behind := string(signing{method: "PUT", target: "/" + p.rogue.bucket + "/smuggled", body: []byte("x")}.wire(p.rogue))
	for _, head := range []string{
		"PUT /%s/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
		"PUT /%s/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0, 5\r\n\r\n",
		"PUT /%s/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: +0\r\n\r\n",
		"PUT /%s/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x0\r\n\r\n",
		"PUT /%s/k HTTP/1.1\r\nHost: localhost\r\nContent-Length : 0\r\n\r\n",
		"PUT /%s/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PUT /%s/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"PUT /%s/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"PUT /%s/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PUT /%s/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
		"GET /%s/k HTTP/1.1\r\nHost: localhost\r\na: b\r\n Content-Length: 1\r\n\r\n",
		"GET /%s/k HTTP/1.1\nHost: localhost\n\n",
		"GET /%s/k HTTP/1.1\r\nHost: localhost\nx: y\r\n\r\n",
		"GET /%s/k HTTP/1.1\r\nHost: localhost\r\nx: a\rb: c\r\n\r\n",
		"GET /%s/k HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
	} {
		head = fmt.Sprintf(head, p.rogue.bucket)
		all, err := p.raw(ctx, []byte(head+behind))
		if err != nil {
			return fmt.Errorf("%q: %w", head, err)
		}
		if len(all) > 1 {
			errs = append(errs, broken("%q: the request behind it was answered: %s", head, all[1]))
		}
		if len(all) > 0 {
			errs = append(errs, refused(fmt.Sprintf("%q", head), all[0]))
		}
	}
	return errors.Join(append(errs, p.storesNothing(ctx, "smuggled"))...)
}

func hosts(ctx context.Context, p *site) error {
	var errs []error
	for _, host := range []string{"localhost:80@evil", "evil@localhost", "localhost:", "localhost:x", "localhost:80:80", "localhost:99999", "localhost/x", "local host", "localhost,evil", "[::1", "::1]", "[localhost]", "localhost..", ".localhost", "local%68ost", "localhost#", "localhost?"} {
		a, err := p.send(ctx, p.rogue, signing{method: "GET", target: "/" + p.rogue.bucket + "/" + object, host: host})
		if err != nil {
			return err
		}
		if host == "localhost:" && a.status == 200 {
			continue // RFC 3986 section 3.2.3: a port may be empty
		}
		errs = append(errs, refused("Host: "+host, a))
	}
	all, err := p.raw(ctx, []byte("GET http://localhost/"+p.rogue.bucket+" HTTP/1.1\r\nHost: evil\r\n\r\n"))
	if err != nil || len(all) != 1 {
		return fmt.Errorf("%d answers, %w", len(all), err)
	}
	return errors.Join(append(errs, refused("an absolute target", all[0]))...)
}

func leavingNames(ctx context.Context, p *site) error {
	var errs []error
	up := "../" + p.victim.bucket + "/" + object
	names := []string{up, "a/../../" + p.victim.bucket + "/" + object, "..%2F" + p.victim.bucket + "%2Fsecret%2Fobject", "%2e%2e/x", "a/./b", "a%00b", "a//b", "/a", "..", ".", "a/..", "%ff", strings.Repeat("k", 1025), "a%5c..%5cb"}
	for _, name := range names {
		for _, s := range []signing{
			{method: "PUT", target: "/" + p.rogue.bucket + "/" + name, body: []byte("x")},
			{method: "GET", target: "/" + p.rogue.bucket + "/" + name},
			{method: "DELETE", target: "/" + p.rogue.bucket + "/" + name},
			{method: "PUT", target: "/" + p.rogue.bucket + "/copied", headers: []header{{"x-amz-copy-source", "/" + p.rogue.bucket + "/" + name}}},
		} {
			a, err := p.send(ctx, p.rogue, s)
			if err != nil {
				return err
			}
			errs = append(errs, refused(s.method+" "+name, a))
		}
		decoded, err := url.PathUnescape(name)
		if err != nil || !utf8.ValidString(decoded) || strings.Contains(decoded, "\x00") {
			continue // no XML document can hold it
		}
		a, err := p.do(ctx, p.rogue, "POST", "/"+p.rogue.bucket+"?delete", []byte("<Delete><Object><Key>"+decoded+"</Key></Object></Delete>"))
		if err != nil {
			return err
		}
		if bytes.Contains(a.body, []byte("<Deleted>")) || a.status >= 500 {
			errs = append(errs, broken("delete document with %q: %s", decoded, a))
		}
	}
	return errors.Join(errs...)
}

func backendSurface(ctx context.Context, p *site) error {
	var errs []error
	own := "/" + p.rogue.bucket
	for _, s := range []signing{
		{method: "GET", target: "/minio/admin/v3/info"}, {method: "POST", target: "/minio/admin/v3/add-user?accessKey=x"}, {method: "GET", target: "/minio/health/live"},
		{method: "GET", target: "/minio/v2/metrics/cluster"}, {method: "GET", target: "/minio/metrics/v3"}, {method: "GET", target: "/crossdomain.xml"},
		{method: "POST", target: "/?Action=AssumeRole&Version=2011-06-15"}, {method: "POST", target: "/", body: []byte("Action=AssumeRole&Version=2011-06-15")},
		{method: "GET", target: "/?events=s3:ObjectCreated:*"}, {method: "GET", target: own + "?events=s3:ObjectCreated:*"}, {method: "GET", target: own + "?list-type=2&metadata=true"},
		{method: "GET", target: own + "/" + object + "?lambdaArn=x"}, {method: "PUT", target: own + "?replication", body: []byte("<ReplicationConfiguration/>")},
		{method: "GET", target: own + "?replication-metrics"}, {method: "POST", target: own + "/" + object + "?select&select-type=2", body: []byte("<SelectObjectContentRequest/>")},
		{method: "PUT", target: own + "?notification", body: []byte("<NotificationConfiguration/>")}, {method: "GET", target: "/.minio.sys/config/config.json"},
		{method: "PUT", target: own + "/" + object + "?renameObject"}, {method: "DELETE", target: own + "?abac"}, {method: "DELETE", target: own + "/" + object + "?annotation"},
	} {
		a, err := p.send(ctx, p.rogue, s)
		if err != nil {
			return err
		}
		if s.target == own+"?list-type=2&metadata=true" && a.status == 200 && !bytes.Contains(a.body, []byte("UserMetadata")) {
			continue // a parameter that S3 does not know is ignored
		}
		if a.status < 400 || a.status == 500 || bytes.Contains(bytes.ToLower(a.body), []byte("minio")) && !strings.Contains(s.target, "minio") {
			errs = append(errs, broken("%s %s: %s", s.method, s.target, a))
		}
	}
	errs = append(errs, p.want(ctx, p.rogue, "GET", own+"/"+object, nil, 200))
	return errors.Join(errs...)
}
