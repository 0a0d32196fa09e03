package domains

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// proofLabel stands in front of the host in the name of its TXT record.
const proofLabel = "_primecloud."

// names is how a host that people write becomes what stands in the DNS: UTS 46 as
// registries have it, so that two spellings of a name are one.
var names = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(true), idna.ValidateLabels(true), idna.BidiRule(), idna.VerifyDNSLength(true))

// canonicalHost is a customer's host as the DNS has it, or says in a sentence to
// the customer why nobody can have it.
func canonicalHost(written string) (string, error) {
	refuse := func(format string, args ...any) (string, error) {
		return "", &RefusedError{fmt.Sprintf(format, args...)}
	}
	name := strings.TrimSuffix(strings.TrimSpace(written), ".")
	switch {
	case name == "":
		return refuse("%q is not the name of a host; write one, such as s3.example.com.", written)
	case strings.Contains(name, "*"):
		return refuse("%q has a wildcard; add each host by its own name, such as s3.example.com.", written)
	case strings.ContainsAny(name, "/@?#[]") || isAddress(name):
		if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil || isAddress(name) {
			return refuse("%q is an IP address; a domain is a name, such as s3.example.com.", written)
		}
		return refuse("%q is not the name of a host; write the name alone, without https:// and path, such as s3.example.com.", written)
	case strings.Contains(name, ":"):
		if _, err := netip.ParseAddr(name); err == nil {
			return refuse("%q is an IP address; a domain is a name, such as s3.example.com.", written)
		}
		return refuse("%q has a port; write the name alone, such as s3.example.com.", written)
	}
	host, err := names.ToASCII(name)
	if err != nil {
		return refuse("%q is not the name of a host: between its dots stand 1 to 63 letters, digits and hyphens.", written)
	}
	if isAddress(host) { // in digits of another script
		return refuse("%q is an IP address; a domain is a name, such as s3.example.com.", written)
	}
	if len(proofLabel+host) > 253 {
		return refuse("%q is too long: the name of its TXT record has more than the DNS's 253 characters.", written)
	}
	if err := checkScripts(written, host); err != nil {
		return "", err
	}
	if suffix, _ := publicsuffix.PublicSuffix(host); suffix == host {
		return refuse("%s is a name under which anybody can register names; add a host of your own below it.", host)
	}
	return host, nil
}

// isAddress is true for every form of an address that some program takes for one,
// as 127.1 or 0x7f000001: no top-level domain is a number (RFC 3696 section 2).
func isAddress(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	hex, isHex := strings.CutPrefix(strings.ToLower(last), "0x")
	if isHex {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// checkScripts refuses names that look like another's: labels in letters of several
// scripts (UTS 39 section 5.2, highly restrictive: Latin beside Han, kana or hangul
// is how Japanese, Chinese and Korean are written), and Cyrillic labels all of whose
// letters look Latin, below a top-level domain that is none of theirs.
func checkScripts(written, host string) error {
	readable, err := idna.ToUnicode(host)
	if err != nil {
		return &RefusedError{fmt.Sprintf("%q is not the name of a host: a part of it that begins with xn-- has no meaning.", written)}
	}
	labels := strings.Split(readable, ".")
	top := labels[len(labels)-1]
	for _, label := range labels {
		in := scriptsOf(label)
		if !slices.ContainsFunc(together, func(allowed []string) bool { return subset(in, allowed) }) && len(in) > 1 {
			return &RefusedError{fmt.Sprintf("%q mixes letters of several scripts (%s) in one word, as names do that are to be taken for others; write it in one script.", written, strings.Join(in, ", "))}
		}
		if slices.Contains(in, "Cyrillic") && !slices.Contains(scriptsOf(top), "Cyrillic") && strings.Trim(label, latinLooking) == "" {
			return &RefusedError{fmt.Sprintf("%q is written in Cyrillic letters that look like Latin ones, as names are that are to be taken for others.", written)}
		}
	}
	return nil
}

// latinLooking are the Cyrillic letters that look Latin in common fonts, as
// Chromium has them (docs/idn.md there), with digits and hyphen.
const latinLooking = "асԁеһіјӏорԛѕԝхуъЬҽпгѵѡү0123456789-"

// together are the scripts that one word may have beside each other.
var together = [][]string{
	{"Latin", "Han", "Hiragana", "Katakana"}, {"Latin", "Han", "Bopomofo"}, {"Latin", "Han", "Hangul"},
}

func subset(of, all []string) bool {
	return !slices.ContainsFunc(of, func(s string) bool { return !slices.Contains(all, s) })
}

// scriptsOf are the scripts of a label's letters, sorted, without what all share.
func scriptsOf(label string) (list []string) {
	for _, r := range label {
		if r < unicode.MaxASCII && !unicode.IsLetter(r) {
			continue
		}
		for name, table := range unicode.Scripts {
			if name != "Common" && name != "Inherited" && unicode.Is(table, r) && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	slices.Sort(list)
	return list
}

// ofPlatform says whether a host is one of the platform's names or below one.
func (c *Config) ofPlatform(host string) bool {
	return slices.ContainsFunc(append([]string{c.Target}, c.Platform...), func(name string) bool {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		return name != "" && (host == name || strings.HasSuffix(host, "."+name))
	})
}
