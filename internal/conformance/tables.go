package main

import (
	"fmt"
	"slices"
	"strings"
)

// tables are what the document shows.
func tables(p *proxyTests, s *suite) string {
	var b strings.Builder
	b.WriteString("| Client or suite | Version | What it did | http | https |\n|---|---|---|---|---|\n")
	slices.SortFunc(p.clients, func(a, b *client) int { return strings.Compare(a.name, b.name) })
	for _, c := range p.clients {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", c.name, c.version, c.did, c.results["http"], c.results["https"])
	}
	fmt.Fprintf(&b, "| the comparison with MinIO | | %s calls, made of MinIO and through the gateway; each of the %s operations with success and refused; %d differ, below | as meant | |\n",
		p.calls, p.rows, len(p.differences))
	fmt.Fprintf(&b, "| minio-go's functional tests | %s | each in a process of its own, through the whole product; what differs is below | %s | %s |\n", s.version, s.count("http"), s.count("https"))

	b.WriteString("\n### Where minio-go's functional tests do not pass\n\n*Again*: run a second time, with Version 4 in place of Version 2 and without the kinds of checksums that MinIO lacks.\n" +
		"Each of these is run against MinIO itself, too: it passes there, unless the table says that it is MinIO's.\n\n" +
		"| Test | Because of | |\n|---|---|---|\n")
	for _, d := range differences {
		if d.category != sigV2 {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", d.test, d.category, d.reason)
		}
	}
	var old []string
	for _, d := range differences {
		if d.category == sigV2 {
			old = append(old, d.test)
		}
	}
	fmt.Fprintf(&b, "| %s | %s | %s |\n", strings.Join(old, ", "), sigV2, version2()[0].reason)

	b.WriteString("\n### Where the gateway answers otherwise than MinIO\n\n| Call | Why |\n|---|---|\n")
	for _, d := range p.differences {
		fmt.Fprintf(&b, "| %s | %s |\n", d[0], d[1])
	}
	return b.String()
}

// count says how the tests ended over a scheme.
func (s *suite) count(scheme string) string {
	pass := 0
	for _, r := range s.results[scheme] {
		if r.status == passed {
			pass++
		}
	}
	return fmt.Sprintf("%d of %d pass", pass, len(s.results[scheme]))
}
