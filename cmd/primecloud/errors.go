package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/primecloudpro/primecloud/internal/finding"
	"github.com/primecloudpro/primecloud/tenancy"
)

// sentences are what people are told of tenancy's errors about what they named.
var sentences = []struct {
	is   error
	text string
}{
	{tenancy.ErrAccountUnknown, "there is no account %q; `primecloud account list` shows those there are"},
	{tenancy.ErrAccountExists, "there is an account %q already; choose another name"},
	{tenancy.ErrKeyUnknown, "there is no access key %q in force; `primecloud key list ACCOUNT` shows those of an account"},
	{tenancy.ErrKeyRetired, "the access key %q is revoked, expired or has a successor already; issue another one with `primecloud key create`"},
	{tenancy.ErrKeyExists, "there is an access key %q already; import another one, or issue one without --import-id"},
	{tenancy.ErrBucketUnknown, "there is no bucket %q; `primecloud bucket list ACCOUNT` shows those of an account"},
	{tenancy.ErrBucketExists, "the account has a bucket %q already; choose another name"},
	{tenancy.ErrBucketBusy, "the bucket %q is being created or deleted; try again in some minutes"},
	{tenancy.ErrBucketTaken, "the backend's bucket %q belongs to an account already; `primecloud bucket list ACCOUNT` shows those of an account"},
	{tenancy.ErrBackendUnknown, "there is no backend %q; `primecloud backend list` shows those there are"},
	{tenancy.ErrBackendExists, "there is a backend %q already; choose another name, or change it with `primecloud backend rotate`"},
}

// told is an error as people are told it: one sentence, or one for each of several.
func told(err error) error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok && err.Error() == errors.Join(many.Unwrap()...).Error() {
		var all []error
		for _, one := range many.Unwrap() {
			all = append(all, told(one))
		}
		return errors.Join(all...)
	}
	text := internals.ReplaceAllString(err.Error(), "$1")
	var named *tenancy.NamedError
	var usage *kong.ParseError
	switch {
	case errors.As(err, &named):
		text = aboutName(named, text)
	case errors.As(err, &usage) && usage.Context != nil && !strings.Contains(text, "; ") && !strings.Contains(text, "did you mean"):
		text += fmt.Sprintf("; `%s --help` says what there is", usage.Context.Model.Name+commandOf(usage.Context))
	}
	return finding.Worded(err, text)
}

// internals are the names of packages in front of errors, and PostgreSQL's way to
// print its own.
var internals = regexp.MustCompile(`\b(?:tenancy|limits|ledger|metering|accesslog|secret|listen|reconcile|storage|pg): |(?:ERROR|FATAL): (.*?) \(SQLSTATE \w{5}\)`)

func aboutName(named *tenancy.NamedError, text string) string {
	for _, s := range sentences {
		if errors.Is(named.Err, s.is) {
			return fmt.Sprintf(s.text, named.Name)
		}
	}
	if reason, ok := strings.CutPrefix(named.Err.Error(), tenancy.ErrInvalidName.Error()+": "); ok {
		return fmt.Sprintf("%q cannot be the name: %s; choose another one", named.Name, reason)
	}
	return text
}

// commandOf is the command that a parse has come to.
func commandOf(parsed *kong.Context) string {
	path := ""
	for _, p := range parsed.Path {
		if p.Command != nil {
			path += " " + p.Command.Name
		}
	}
	return path
}
