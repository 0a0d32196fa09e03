package main

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
)

// ids are attacks on what clients carry from one answer to the next request.
var ids = part{"ids", []attack{
	{"upload ids that are paths", "Upload ids that the backend would read as paths out of the upload's folder, in each operation that takes one: 4xx, the victim's objects stay.", pathIDs},
	{"another account's upload", "The victim's upload id in the attacker's requests, and the attacker's with another key, bucket and a changed letter: NoSuchUpload, the upload stays.", foreignUpload},
	{"continuation tokens", "Tokens of another bucket, made up, and with directives of the backend's cache: 400.", tokens},
}}

func (p *site) begin(ctx context.Context, t *tenant, key string) (string, error) {
	a, err := p.do(ctx, t, "POST", "/"+t.bucket+"/"+key+"?uploads", nil)
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(a.body), "<UploadId>")
	id, _, _ := strings.Cut(rest, "<")
	if a.status != 200 || id == "" {
		return "", errors.New("no upload was begun: " + a.String())
	}
	return id, nil
}

// withUpload is one request of each operation that takes an upload id.
func withUpload(bucket, key, id string) []signing {
	target := "/" + bucket + "/" + key
	q := "uploadId=" + url.QueryEscape(id)
	return []signing{
		{method: "PUT", target: target + "?partNumber=1&" + q, body: []byte("part of the attacker's")},
		{method: "PUT", target: target + "?partNumber=1&" + q, headers: []header{{"x-amz-copy-source", bucket + "/" + object}}},
		{method: "GET", target: target + "?" + q},
		{method: "POST", target: target + "?" + q, body: []byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"9dd4e461268c8034f5c8564e155c67a6\"</ETag></Part></CompleteMultipartUpload>")},
		{method: "DELETE", target: target + "?" + q},
		{method: "GET", target: "/" + bucket + "?uploads&key-marker=" + key + "&upload-id-marker=" + url.QueryEscape(id)},
	}
}

func pathIDs(ctx context.Context, p *site) error {
	var errs []error
	for _, path := range []string{"../../../" + p.victim.bucket, "x.../../../../" + p.victim.bucket + "/" + object, "../../..", "..", ".", "/", "", "\x00", "../../config/config.json"} {
		for _, id := range []string{path, base64.RawURLEncoding.EncodeToString([]byte(path)), base64.StdEncoding.EncodeToString([]byte(path)),
			base64.RawURLEncoding.EncodeToString([]byte("00000000-0000-0000-0000-000000000000." + path))} {
			for _, s := range withUpload(p.rogue.bucket, object, id) {
				a, err := p.send(ctx, p.rogue, s)
				if err != nil {
					return err
				}
				if strings.Contains(s.target, "?uploads") && id == "" {
					continue // no marker
				}
				errs = append(errs, refused(s.method+" "+s.target, a))
			}
		}
	}
	return errors.Join(errs...)
}

func foreignUpload(ctx context.Context, p *site) error {
	theirs, err := p.begin(ctx, p.victim, "upload")
	if err != nil {
		return err
	}
	own, err := p.begin(ctx, p.rogue, "upload")
	if err != nil {
		return err
	}
	changed := []byte(own)
	changed[len(changed)/2] ^= 1
	var errs []error
	for _, c := range []struct{ key, id string }{{"upload", theirs}, {"other", own}, {"upload", string(changed)}, {"upload", own[:len(own)-1]}, {"upload", own + "A"}, {"upload", own + theirs}} {
		for _, s := range withUpload(p.rogue.bucket, c.key, c.id) {
			a, err := p.send(ctx, p.rogue, s)
			if err != nil {
				return err
			}
			errs = append(errs, refused(s.method+" "+s.target, a))
		}
	}
	return errors.Join(append(errs, p.want(ctx, p.victim, "GET", "/"+p.victim.bucket+"/upload?uploadId="+url.QueryEscape(theirs), nil, 200),
		p.want(ctx, p.victim, "DELETE", "/"+p.victim.bucket+"/upload?uploadId="+url.QueryEscape(theirs), nil, 204))...)
}

func tokens(ctx context.Context, p *site) error {
	for _, key := range []string{"l1", "l2"} {
		if err := p.want(ctx, p.victim, "PUT", "/"+p.victim.bucket+"/"+key, []byte("x"), 200); err != nil {
			return err
		}
	}
	a, err := p.do(ctx, p.victim, "GET", "/"+p.victim.bucket+"?list-type=2&max-keys=1", nil)
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(a.body), "<NextContinuationToken>")
	token, _, _ := strings.Cut(rest, "<")
	if token == "" {
		return errors.New("the listing has no token: " + a.String())
	}
	var errs []error
	directive := "l1[minio_cache:v2,return:]"
	for _, made := range []string{token, "x", directive, base64.StdEncoding.EncodeToString([]byte(directive)), base64.StdEncoding.EncodeToString([]byte("l1"))} {
		a, err := p.do(ctx, p.rogue, "GET", "/"+p.rogue.bucket+"?list-type=2&continuation-token="+url.QueryEscape(made), nil)
		if err != nil {
			return err
		}
		errs = append(errs, refused("token "+made, a))
	}
	return errors.Join(errs...)
}
