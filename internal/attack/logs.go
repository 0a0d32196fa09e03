package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// logs are read by more people than keys are for. They are looked through last,
// when everything above has been sent.
var logs = part{"logs", []attack{
	{"secrets in logs", "Everything that the node said, at debug level, and its access log, after all the requests above and malformed ones: no secret and no signature that was sent is in it.", secretsInLogs},
}}

func secretsInLogs(ctx context.Context, p *site) error {
	sent := map[string]string{}
	sign := func(what string, wire []byte) {
		_, rest, _ := strings.Cut(string(wire), "ignature=")
		if len(rest) > 64 {
			sent[what] = rest[:64]
		}
	}
	good := signing{method: "GET", target: "/" + p.rogue.bucket + "/" + object, headers: []header{{"x-amz-security-token", "token-that-nobody-may-read"}}}.wire(p.rogue)
	sent["a session token"] = "token-that-nobody-may-read"
	sign("a good request", good)
	presigned := signing{method: "GET", target: signing{method: "GET", target: "/" + p.rogue.bucket + "/" + object}.presigned(p.rogue, 60_000_000_000)}.wire(nil)
	sign("a presigned URL", presigned)
	text := string(good)
	for what, wire := range map[string]string{
		"whole":                 text,
		"presigned":             string(presigned),
		"a folded line":         strings.Replace(text, "\r\n\r\n", "\r\n folded\r\n\r\n", 1),
		"no colon":              strings.Replace(text, "\r\n\r\n", "\r\nnocolon\r\n\r\n", 1),
		"a control":             strings.Replace(text, "\r\n\r\n", "\r\na: \x01\r\n\r\n", 1),
		"no version":            strings.Replace(text, " HTTP/1.1", "", 1),
		"another version":       strings.Replace(text, " HTTP/1.1", " HTTP/3.7", 1),
		"too long":              strings.Replace(text, "\r\n\r\n", "\r\na: "+strings.Repeat("b", 40000)+"\r\n\r\n", 1),
		"a bad length":          strings.Replace(text, "\r\n\r\n", "\r\nContent-Length: x\r\n\r\n", 1),
		"two lengths":           strings.Replace(text, "\r\n\r\n", "\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 1),
		"cut":                   text[:len(text)-20],
		"line feeds":            strings.ReplaceAll(text, "\r\n", "\n"),
		"a head in the target":  "GET /" + strings.ReplaceAll(text, "\r\n", "%0d%0a") + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"spaces":                strings.ReplaceAll(text, ": ", " : "),
		"a presigned, cut head": string(presigned[:len(presigned)-3]),
	} {
		if _, err := p.raw(ctx, []byte(wire)); err != nil && !isReset(err) && !strings.Contains(err.Error(), "malformed") {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	secrets, err := p.secrets()
	if err != nil {
		return err
	}
	for what, secret := range sent {
		secrets[what] = secret
	}
	access, err := p.accessLog()
	if err != nil {
		return err
	}
	printed := p.Log.String()
	// What dev prints for its user is meant to be read.
	_, printed, _ = strings.Cut(printed, "bin/primecloud key list")
	var errs []error
	for where, all := range map[string]string{"the log": printed, "the access log": string(access)} {
		for what, secret := range secrets {
			if i := strings.Index(all, secret); i >= 0 {
				errs = append(errs, broken("%s has %s: %.200q", where, what, all[max(0, i-100):]))
			}
		}
		for _, part := range []string{"Signature=", "Signature%3D", "AWS4-HMAC-SHA256 Credential"} {
			if i := strings.Index(all, part); i >= 0 {
				errs = append(errs, broken("%s has a credential: %.200q", where, all[max(0, i-100):]))
			}
		}
	}
	return errors.Join(errs...)
}
