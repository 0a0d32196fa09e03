package main

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/primecloudpro/primecloud/internal/product"
)

// tenants have a key and want more than it gives them.
var tenants = part{"tenants", []attack{
	{"past a storage quota", "With a hard quota full: uploads, copies with a range of one byte, parts, forms and lengths that are not said: 403, nothing more is stored.", pastQuota},
	{"an upload that outlives its key", "An upload is begun, its key is revoked, its account suspended; the rest is sent afterwards: no object.", outlivingKey},
	{"a download that outlives its key", "A download is begun and read slowly, its key is revoked: it is cut.", outlivingDownload},
	{"a policy's holes", "Forms with fields that the policy does not name, file-content-type among them, of both cases, before and after the file: 403, no object.", policyHoles},
	{"fields that are dropped", "A form's tags, and every other field that is accepted, are there afterwards; the others are refused.", droppedFields},
	{"owners and sums in a query", "X-Amz-Expected-Bucket-Owner and x-amz-checksum-* as parameters, in every spelling: held against the account and the document.", queryHeaders},
	{"metadata", "Names and values of every length up to 3 KiB, as headers and in presigned URLs: returned as they came, or refused for what they are together.", metadata},
	{"ambiguous documents", "Documents with an element twice, misplaced, nested, or with a document type: 400, nothing deleted.", ambiguousDocuments},
	{"a bucket that stays", "A delete of a bucket that is not empty, again and again, beside writes: no write is answered 404.", staysWritable},
	{"buckets without end", "Buckets beyond the account's number: TooManyBuckets, also when many are made at once.", endlessBuckets},
	{"a key for some buckets", "A key of one bucket lists, reads and writes no other, and sees no other's name.", narrowKey},
}}

func pastQuota(ctx context.Context, p *site) error {
	t, err := p.newTenant(ctx)
	if err != nil {
		return err
	}
	big := strings.Repeat("x", 6<<20)
	if err := p.want(ctx, t, "PUT", "/"+t.bucket+"/big", []byte(big), 200); err != nil {
		return err
	}
	id, err := p.begin(ctx, t, "parts")
	if err != nil {
		return err
	}
	if _, err := p.Command(ctx, "account", "limit", t.account, "--storage-quota", "1KiB/hard"); err != nil {
		return err
	}
	if err := product.Await(ctx, "the quota", func() (bool, error) {
		a, err := p.do(ctx, t, "PUT", "/"+t.bucket+"/filler", []byte(strings.Repeat("x", 2000)))
		return a != nil && a.status == 403, err
	}); err != nil {
		return err
	}
	mark := p.name("over")
	source := header{"x-amz-copy-source", t.bucket + "/big"}
	var errs []error
	for _, s := range []signing{
		{method: "PUT", target: mark, body: []byte(big)},
		{method: "PUT", target: mark, headers: []header{source}},
		{method: "PUT", target: mark, headers: []header{source, {"x-amz-copy-source-range", "bytes=0-0"}}},
		{method: "PUT", target: mark, headers: []header{source, {"X-Amz-Copy-Source-Range", "bytes=0-0"}}},
		{method: "PUT", target: mark + "?x-amz-copy-source-range=bytes%3D0-0", headers: []header{source}},
		{method: "PUT", target: mark, headers: []header{source, {"range", "bytes=0-0"}}},
		{method: "PUT", target: mark, headers: []header{source, {"x-amz-decoded-content-length", "1"}}},
		{method: "PUT", target: "parts?partNumber=1&uploadId=" + url.QueryEscape(id), headers: []header{source}},
		{method: "PUT", target: "parts?partNumber=1&uploadId=" + url.QueryEscape(id), headers: []header{source, {"x-amz-copy-source-range", "bytes=0-6000000"}}},
		{method: "PUT", target: "parts?partNumber=1&uploadId=" + url.QueryEscape(id), body: []byte(big)},
		{method: "PUT", target: mark, body: []byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"), payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			headers: []header{{"x-amz-decoded-content-length", "0"}, {"x-amz-trailer", "x-amz-checksum-crc32"}}},
	} {
		s.target = "/" + t.bucket + "/" + s.target
		a, err := p.send(ctx, t, s)
		if err != nil {
			return err
		}
		errs = append(errs, refused(fmt.Sprintf("%s %s %v", s.method, s.target, s.headers), a))
	}
	return errors.Join(append(errs, p.storesNothing(ctx, mark))...)
}

// halfUpload begins an upload and sends its first half.
func (p *site) halfUpload(ctx context.Context, t *tenant, target string) (*session, error) {
	s, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	wire := signing{method: "PUT", target: target, payload: "UNSIGNED-PAYLOAD", length: 1000}.wire(t)
	_, err = s.Write(append(wire, strings.Repeat("a", 500)...))
	return s, err
}

// changed waits until a new request with t's key is refused.
func (p *site) changed(ctx context.Context, t *tenant) error {
	return product.Await(ctx, "the change to be known", func() (bool, error) {
		a, err := p.do(ctx, t, "PUT", "/"+t.bucket+"/after", []byte("x"))
		return a != nil && a.status == 403, err
	})
}

func outlivingKey(ctx context.Context, p *site) error {
	var errs []error
	for what, args := range map[string]func(t *tenant) []string{
		"the key is revoked":       func(t *tenant) []string { return []string{"key", "revoke", t.id} },
		"the account is suspended": func(t *tenant) []string { return []string{"account", "suspend", t.account} },
		"the account is read-only": func(t *tenant) []string { return []string{"account", "suspend", "--read-only", t.account} },
	} {
		t, err := p.newTenant(ctx)
		if err != nil {
			return err
		}
		mark := p.name("outlived")
		s, err := p.halfUpload(ctx, t, "/"+t.bucket+"/"+mark)
		if err != nil {
			return err
		}
		if _, err := p.Command(ctx, args(t)...); err != nil {
			return err
		}
		if err := p.changed(ctx, t); err != nil {
			return err
		}
		_, _ = s.Write([]byte(strings.Repeat("b", 500)))
		a, err := s.next("PUT")
		_ = s.Close()
		if err == nil && a != nil && a.status < 400 {
			errs = append(errs, broken("%s: %s", what, a))
		}
		errs = append(errs, p.storesNothing(ctx, mark))
	}
	return errors.Join(errs...)
}

func outlivingDownload(ctx context.Context, p *site) error {
	t, err := p.newTenant(ctx)
	if err != nil {
		return err
	}
	const size = 64 << 20
	if err := p.want(ctx, t, "PUT", "/"+t.bucket+"/large", make([]byte, size), 200); err != nil {
		return err
	}
	s, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(attackTime))
	if _, err := s.Write(signing{method: "GET", target: "/" + t.bucket + "/large"}.wire(t)); err != nil {
		return err
	}
	buffer := make([]byte, 64<<10)
	read, err := s.r.Read(buffer)
	if err != nil {
		return err
	}
	if _, err := p.Command(ctx, "key", "revoke", t.id); err != nil {
		return err
	}
	if err := p.changed(ctx, t); err != nil {
		return err
	}
	// At 2 MiB/s the rest would take half a minute.
	for read < size {
		n, err := s.r.Read(buffer)
		read += n
		if err != nil {
			return nil //nolint:nilerr // cut
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(30 * time.Millisecond):
		}
	}
	return broken("%d bytes were sent after the key was revoked", read)
}

func queryHeaders(ctx context.Context, p *site) error {
	var errs []error
	for _, name := range []string{"x-amz-expected-bucket-owner", "X-Amz-Expected-Bucket-Owner", "X-AMZ-EXPECTED-BUCKET-OWNER"} {
		target := "/" + p.rogue.bucket + "/" + object + "?" + name + "=" + strings.Repeat("0", 64)
		for what, s := range map[string]signing{"signed by header": {method: "GET", target: target}} {
			a, err := p.send(ctx, p.rogue, s)
			if err != nil {
				return err
			}
			errs = append(errs, refused(what+" "+name, a))
		}
		a, err := p.send(ctx, nil, signing{method: "GET", target: signing{method: "GET", target: target}.presigned(p.rogue, time.Minute)})
		if err != nil {
			return err
		}
		errs = append(errs, refused("presigned "+name, a))
	}
	for _, name := range []string{"x-amz-checksum-crc32", "X-Amz-Checksum-Crc32", "x-amz-checksum-sha256"} {
		sum := map[bool]string{true: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false: "AAAAAA=="}[strings.HasSuffix(name, "256")]
		target := "/" + p.rogue.bucket + "?delete&" + name + "=" + url.QueryEscape(sum)
		a, err := p.send(ctx, nil, signing{method: "POST", target: signing{method: "POST", target: target}.presigned(p.rogue, time.Minute), body: []byte("<Delete><Object><Key>" + object + "</Key></Object></Delete>")})
		if err != nil {
			return err
		}
		errs = append(errs, refused("a delete document with a wrong "+name, a))
	}
	return errors.Join(append(errs, p.want(ctx, p.rogue, "GET", "/"+p.rogue.bucket+"/"+object, nil, 200))...)
}

func metadata(ctx context.Context, p *site) error {
	var errs []error
	for _, n := range []int{1, 60, 84, 85, 86, 96, 97, 128, 200, 500, 1000, 1900, 2100, 3000} {
		name := "x-amz-meta-" + strings.Repeat("n", n)
		target := "/" + p.rogue.bucket + "/" + p.name("meta")
		a, err := p.do(ctx, p.rogue, "PUT", target, []byte("x"), header{name, "v"})
		if err != nil {
			return err
		}
		if a.status >= 400 {
			errs = append(errs, refused(fmt.Sprintf("a name of %d bytes", n), a))
			continue
		}
		head, err := p.do(ctx, p.rogue, "HEAD", target, nil)
		if err != nil {
			return err
		}
		if head.header.Get(name) != "v" {
			errs = append(errs, broken("a name of %d bytes is answered 200 and not returned", n))
		}
	}
	for _, name := range []string{"x-amz-meta-a", "X-Amz-Meta-A"} { // moved into the query, where it counts once
		for _, n := range []int{100, 1100, 2000, 2100} {
			target := "/" + p.rogue.bucket + "/" + p.name("meta")
			value := strings.Repeat("v", n)
			a, err := p.send(ctx, nil, signing{method: "PUT", target: signing{method: "PUT", target: target + "?" + name + "=" + value}.presigned(p.rogue, time.Minute), body: []byte("x")})
			if err != nil {
				return err
			}
			head, err := p.do(ctx, p.rogue, "HEAD", target, nil)
			if err != nil {
				return err
			}
			if fits := n <= 2000; fits != (a.status == 200) || fits && head.header.Get(name) != value {
				errs = append(errs, broken("%d bytes of metadata in a presigned URL: %s", n, a))
			}
		}
	}
	for _, value := range []string{"a\u202fb", "\u00a0a", "a\u2003\u3000b", "a\u0085", "ä"} {
		target := "/" + p.rogue.bucket + "/" + p.name("meta")
		a, err := p.do(ctx, p.rogue, "PUT", target, []byte("x"), header{"x-amz-meta-a", value})
		if err != nil {
			return err
		}
		if a.status >= 400 {
			errs = append(errs, refused(fmt.Sprintf("the value %q", value), a))
			continue
		}
		head, err := p.do(ctx, p.rogue, "HEAD", target, nil)
		if err != nil {
			return err
		}
		// What is not ASCII comes back as S3 documents it, by RFC 2047.
		if got, err := new(mime.WordDecoder).DecodeHeader(head.header.Get("x-amz-meta-a")); got != value || err != nil {
			errs = append(errs, broken("the value %q is returned as %q", value, head.header.Get("x-amz-meta-a")))
		}
	}
	return errors.Join(errs...)
}

func ambiguousDocuments(ctx context.Context, p *site) error {
	var errs []error
	b, k := "/"+p.rogue.bucket, "/"+p.rogue.bucket+"/"+object
	for _, s := range []signing{
		{method: "POST", target: b + "?delete", body: []byte("<Delete><Object><Key>other</Key><Key>" + object + "</Key></Object></Delete>")},
		{method: "POST", target: b + "?delete", body: []byte("<Delete><Object><Key>" + object + "</Key><VersionId>null</VersionId><VersionId>x</VersionId></Object></Delete>")},
		{method: "POST", target: b + "?delete", body: []byte("<Delete><Object><Key>a<Key>" + object + "</Key></Key></Object></Delete>")},
		{method: "POST", target: b + "?delete", body: []byte("<Delete><Key>" + object + "</Key></Delete>")},
		{method: "POST", target: b + "?delete", body: []byte("<!DOCTYPE x [<!ENTITY k \"" + object + "\">]><Delete><Object><Key>&k;</Key></Object></Delete>")},
		{method: "POST", target: b + "?delete", body: []byte("<Delete>" + strings.Repeat("<Object>", 20000))},
		{method: "POST", target: b + "?delete", body: []byte("<Delete>" + strings.Repeat("<Object><Key>x</Key></Object>", 1001) + "</Delete>")},
		{method: "PUT", target: k + "?tagging", body: []byte("<Tagging><TagSet><Tag><Key>a</Key><Key>b</Key><Value>c</Value></Tag></TagSet></Tagging>")},
		{method: "PUT", target: k + "?tagging", body: []byte("<Tagging><TagSet><Value>c</Value><Tag><Key>a</Key><Value>c</Value></Tag></TagSet></Tagging>")},
		{method: "PUT", target: b + "?versioning", body: []byte("<VersioningConfiguration><Status>Enabled</Status><Status>Suspended</Status></VersioningConfiguration>")},
	} {
		a, err := p.send(ctx, p.rogue, s)
		if err != nil {
			return err
		}
		errs = append(errs, refused(fmt.Sprintf("%s %.80s", s.target, s.body), a))
	}
	return errors.Join(append(errs, p.want(ctx, p.rogue, "GET", k, nil, 200))...)
}

func staysWritable(ctx context.Context, p *site) error {
	stop, deleted := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				deleted <- nil
				return
			default:
			}
			if a, err := p.do(ctx, p.rogue, "DELETE", "/"+p.rogue.bucket, nil); err != nil || a.status < 400 {
				deleted <- fmt.Errorf("the bucket was deleted: %v %w", a, err)
				return
			}
		}
	}()
	var errs []error
	for i := range 200 {
		a, err := p.do(ctx, p.rogue, "PUT", fmt.Sprintf("/%s/during-%d", p.rogue.bucket, i), []byte("x"))
		if err != nil {
			return err
		}
		if a.status != 200 && a.status != 503 {
			errs = append(errs, broken("a write beside a refused delete: %s", a))
		}
	}
	close(stop)
	return errors.Join(append(errs, <-deleted)...)
}

func endlessBuckets(ctx context.Context, p *site) error {
	t, err := p.newTenant(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	made, refusals := 1, 0 // newTenant made one
	var first error
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 140 {
				a, err := p.do(ctx, t, "PUT", fmt.Sprintf("/%s-%d-%d", t.bucket, w, i), nil)
				mu.Lock()
				switch {
				case err != nil:
					first = errors.Join(first, err)
				case a.status == 200:
					made++
				case a.code() == "TooManyBuckets":
					refusals++
				case a.status != 503:
					first = errors.Join(first, broken("%s", a))
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if first == nil && (made > 1000 || refusals == 0) {
		return broken("%d buckets were made, %d refused", made, refusals)
	}
	return first
}

func narrowKey(ctx context.Context, p *site) error {
	t := *p.rogue
	other := p.name("bucket")
	if err := p.want(ctx, p.rogue, "PUT", "/"+other, nil, 200); err != nil {
		return err
	}
	if err := p.newKey(ctx, &t, "--buckets", other); err != nil {
		return err
	}
	var errs []error
	for _, s := range everyOperation(p.rogue.bucket) {
		a, err := p.send(ctx, &t, s)
		if err != nil {
			return err
		}
		errs = append(errs, denied(s.method+" "+s.target, a))
	}
	a, err := p.do(ctx, &t, "GET", "/", nil)
	if err != nil {
		return err
	}
	if strings.Contains(string(a.body), "<Name>"+p.rogue.bucket+"</Name>") || !strings.Contains(string(a.body), "<Name>"+other+"</Name>") {
		errs = append(errs, broken("it lists %s", a))
	}
	return errors.Join(errs...)
}
