package main

// domains are the promises about customers' own hosts.
var domains = []promise{
	{
		"ARCHITECTURE.md", "22",
		"a customer's host is for the account that has proven it: no claim of another, no removal and no look-alike takes it",
		"./domains", "TestTakeover_verifiedName|TestTakeover_danglingCNAME|TestClaim_refusedNames",
		[]change{
			{"internal/pg/migrations/0021_domains.sql", "THEN now() + interval '30 days' ELSE", "THEN now() ELSE"},
			{"internal/pg/migrations/0021_domains.sql", "IF NEW.ownership <> 'verified' OR OLD.ownership = 'verified' THEN", "IF NEW.host = OLD.host THEN"},
			{"internal/pg/migrations/0021_domains.sql", "DEFAULT replace(gen_random_uuid()::text, '-', '')", "DEFAULT md5('token')"},
			{"domains/check.go", "r.Type == dnslookup.TXT && r.Value == d.token", "r.Type == dnslookup.TXT"},
			{"domains/host.go", "(host == name || strings.HasSuffix(host, \".\"+name))", "host == name"},
			{"domains/host.go", "&& len(in) > 1 {", "&& len(in) > 2 {"},
		},
	},
	{
		"ARCHITECTURE.md", "22",
		"what name servers do not say changes nothing, and a customer's host is lost only when its proof was missing for seven days of looks",
		"./domains", "TestRecheck_resolverFails|TestRecheck_lost|TestRecheck_stoodStill",
		[]change{
			{"domains/check.go", "\tif seen.proofErr == nil {\n", "\tif seen.proof == nil || seen.proofErr == nil {\n"},
			{"domains/check.go", "\tif seen.routesErr == nil {\n", "\tif seen.routes == nil || seen.routesErr == nil {\n"},
			{"domains/check.go", " || d.failures < lostAfterLook {", " {"},
			{"domains/check.go", "d.failingSince, d.failures = nil, 0", "d.failures = 0"},
			{"domains/dnslookup/dnslookup.go", "case m.Rcode == dns.RcodeSuccess, m.Rcode == dns.RcodeNameError:", "case m.Rcode >= dns.RcodeSuccess:"},
		},
	},
	{
		"ARCHITECTURE.md", "22",
		"on a customer's host no other account's key is good, every answer names that host, and a host of nobody is misdirected",
		"./proxy", "TestAuthenticated|TestAnyHost_written|TestAnyHost_belowOwnDomain|TestAnyHost_misdirected",
		[]change{
			{"proxy/verify.go", "x.account != nil && x.account.ID != account.ID", "x.host.account != nil && x.account.ID != account.ID"},
			{"proxy/postform.go", "x.account != nil && x.account.ID != account.ID", "x.host.account != nil && x.account.ID != account.ID"},
			{"proxy/rewrite.go", "\traw, _ := x.header(\"host\")\n", "\traw := []byte(x.srv.cfg.Hosts[0])\n"},
			{"proxy/resolve.go", "return !x.conn.TLS() || x.srv.cfg.Covers != nil &&", "return x.srv.cfg.Covers == nil ||"},
			{"proxy/resolve.go", "\t\treturn &s3err.Error{Code: \"MisdirectedRequest\"}\n", "\t\treturn nil\n"},
		},
	},
}
