package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/sigv4"
)

// form is a signed browser form. The policy names bucket and key and the fields of
// named; more are sent beside them.
func (p *site) form(t *tenant, key string, named, more, after []header) []byte {
	now := time.Now().UTC()
	conditions := []any{map[string]string{"bucket": t.bucket}, map[string]string{"key": key}}
	fields := []header{{"key", key}, {"x-amz-algorithm", "AWS4-HMAC-SHA256"}, {"x-amz-date", string(sigv4.AppendTime(nil, now))},
		{"x-amz-credential", t.id + "/" + now.Format("20060102") + "/" + region + "/s3/aws4_request"}}
	fields = append(fields, named...)
	for _, f := range fields[1:] {
		conditions = append(conditions, map[string]string{f.name: f.value})
	}
	policy, _ := json.Marshal(map[string]any{"expiration": now.Add(time.Hour).Format("2006-01-02T15:04:05Z"), "conditions": conditions})
	text := base64.StdEncoding.EncodeToString(policy)
	fields = append(fields, header{"policy", text}, header{"x-amz-signature", sigv4.SignPolicy(text, sigv4.NewSigningKey(t.secret, now.Format("20060102"), region))})
	var b strings.Builder
	for _, f := range append(fields, more...) {
		b.WriteString(field(f.name, f.value))
	}
	b.WriteString("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nhello\r\n")
	for _, f := range after {
		b.WriteString(field(f.name, f.value))
	}
	b.WriteString("--b--\r\n")
	return []byte(fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n%s", t.bucket, b.Len(), b.String()))
}

// post sends a form and returns its answer.
func (p *site) post(ctx context.Context, wire []byte) (*answer, error) {
	all, err := p.raw(ctx, wire)
	if err != nil || len(all) != 1 {
		return nil, fmt.Errorf("%d answers to a form, %w", len(all), err)
	}
	return all[0], nil
}

func policyHoles(ctx context.Context, p *site) error {
	mark := p.name("hole")
	var errs []error
	for i, f := range []header{
		{"file-content-type", "text/html"}, {"File-Content-Type", "text/html"}, {"content-type", "text/html"}, {"Content-Type", "text/html"}, {"filename", "x"}, {"file-name", "x"},
		{"x-amz-meta-a", "b"}, {"X-Amz-Meta-A", "b"}, {"x-amz-storage-class", "STANDARD"}, {"acl", "private"}, {"tagging", "<Tagging><TagSet/></Tagging>"},
		{"cache-control", "no-store"}, {"success_action_status", "200"}, {"success_action_redirect", "http://evil"}, {"anything", "else"},
		{"x-minio-extract", "true"}, {"x-minio-fanout-list", `{"key":"` + mark + `"}`}, {"x-amz-server-side-encryption", "AES256"}, {"bucket", p.victim.bucket},
		{"key", mark + "-other"}, {"Key", mark + "-other"}, {"policy", "e30="}, {"x-amz-signature", strings.Repeat("0", 64)}, {"x-amz-credential", p.victim.id + "/20261130/us-east-1/s3/aws4_request"},
	} {
		a, err := p.post(ctx, p.form(p.rogue, fmt.Sprintf("%s-%d", mark, i), nil, []header{f}, nil))
		if err != nil {
			return err
		}
		errs = append(errs, refused("a form with "+f.name, a))
	}
	errs = append(errs, p.storesNothing(ctx, mark))
	// Behind the file S3 reads nothing: neither may what stands there do anything.
	a, err := p.post(ctx, p.form(p.rogue, mark, nil, nil, []header{{"key", mark + "-behind"}, {"content-type", "text/html"}}))
	if err != nil {
		return err
	}
	if a.status < 300 {
		found, err := p.stored(ctx, mark)
		if err != nil {
			return err
		}
		if len(found) != 1 || !strings.HasSuffix(found[0], mark) {
			errs = append(errs, broken("a field behind the file: MinIO has %q", found))
		}
		head, err := p.do(ctx, p.rogue, "HEAD", "/"+p.rogue.bucket+"/"+mark, nil)
		if err != nil {
			return err
		}
		if strings.Contains(head.header.Get("Content-Type"), "html") {
			errs = append(errs, broken("a field behind the file became the object's type"))
		}
	}
	return errors.Join(errs...)
}

func droppedFields(ctx context.Context, p *site) error {
	var errs []error
	tags := "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"
	for name, value := range map[string]string{
		"tagging": tags, "acl": "public-read", "Cache-Control": "no-store", "Content-Disposition": "inline", "Content-Encoding": "br", "Content-Language": "pt", "Content-Type": "text/plain",
		"Expires": "Wed, 21 Oct 2037 07:28:00 GMT", "x-amz-meta-a": "b", "x-amz-website-redirect-location": "/x", "x-amz-storage-class": "REDUCED_REDUNDANCY",
		"x-amz-server-side-encryption": "AES256", "x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-legal-hold": "ON", "x-amz-checksum-crc32": "NhCmhg==", "x-amz-checksum-sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
		"x-amz-server-side-encryption-aws-kms-key-id": "k", "x-amz-server-side-encryption-customer-algorithm": "AES256", "x-amz-tagging": "k=v", "x-amz-security-token": "t", "x-amz-grant-read": "id=x",
	} {
		key := p.name("field")
		a, err := p.post(ctx, p.form(p.rogue, key, []header{{name, value}}, nil, nil))
		if err != nil {
			return err
		}
		if a.status >= 400 {
			errs = append(errs, refused(name, a))
			continue
		}
		kept, err := p.keeps(ctx, "/"+p.rogue.bucket+"/"+key, name, value)
		if err != nil {
			return err
		}
		if !kept {
			errs = append(errs, broken("the field %s is answered with %d and dropped", name, a.status))
		}
	}
	// A sum that is wrong.
	a, err := p.post(ctx, p.form(p.rogue, p.name("field"), []header{{"x-amz-checksum-crc32", "AAAAAA=="}}, nil, nil))
	if err != nil {
		return err
	}
	return errors.Join(append(errs, refused("a form with a wrong sum", a))...)
}

// keeps tells whether the object has what a form's field said.
func (p *site) keeps(ctx context.Context, target, name, value string) (bool, error) {
	if strings.HasSuffix(strings.ToLower(name), "tagging") {
		a, err := p.do(ctx, p.rogue, "GET", target+"?tagging", nil)
		return err == nil && strings.Contains(string(a.body), "<Key>k</Key><Value>v</Value>"), err
	}
	a, err := p.do(ctx, p.rogue, "HEAD", target, nil, header{"x-amz-checksum-mode", "ENABLED"})
	if err != nil {
		return false, err
	}
	return a.header.Get(name) == value, nil
}
