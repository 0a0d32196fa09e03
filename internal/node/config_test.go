package node

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/settings"
)

var update = flag.Bool("update", false, "write docs/CONFIGURATION.md")

// TestConfigurationPage: docs/CONFIGURATION.md is what the declarations say, so that a
// changed name or default is a visible difference.
func TestConfigurationPage(t *testing.T) {
	t.Parallel()
	list, err := settings.List(&Config{})
	if err != nil {
		t.Fatal(err)
	}
	const page, begins, ends = "../../docs/CONFIGURATION.md", "<!-- settings: `make docs` writes what is between these lines -->\n", "\n<!-- end of the settings -->\n"
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begins)
	_, foot, ok2 := strings.Cut(rest, ends)
	if !ok || !ok2 {
		t.Fatalf("%s has no marks", page)
	}
	want := head + begins + settings.Page(list) + ends + foot
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if want != string(b) {
		t.Errorf("%s is not what the declarations say; if the change is meant, run `make docs`", page)
	}
}

// TestConfig_validate reports every problem at once.
func TestConfig_validate(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Roles, cfg.S3.Addr, cfg.Log.Format, cfg.Log.Level, cfg.Database.MaxStale = []string{"gateway", "portal"}, "", "xml", "loud", 0
	cfg.S3.Hosts, cfg.S3.TenantDomain, cfg.S3.PublicScheme = []string{"s3.example.com"}, "s3.example.com", "ftp"
	cfg.Domains = Domains{Target: "https://edge.example.com", Addresses: []string{"edge"}, Resolver: "10.0.0.53", Reserved: []string{"*.example.com"}, Most: -1}
	err := cfg.validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"portal", "database.url", "keyring", "s3.addr", "log.format", "log.level", "s3.public_scheme", "database.max_stale", "tenant_domain",
		`domains.target: "https://edge.example.com"`, `domains.addresses: "edge"`, `domains.resolver: "10.0.0.53"`, `domains.reserved: "*.example.com"`, "domains.most: -1"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}

// Half of the connections are one account's at most, where nobody has said.
func TestConfig_concurrent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		most, said int
		want       int64
	}{{1000, 0, 500}, {5, 0, 3}, {1000, 7, 7}, {10, 20, 20}} {
		cfg := Config{S3: S3{MaxConnections: c.most, ConcurrentPerAccount: c.said}}
		if got := cfg.concurrent(); got != c.want {
			t.Errorf("%d connections, %d for an account: %d, want %d", c.most, c.said, got, c.want)
		}
	}
}
