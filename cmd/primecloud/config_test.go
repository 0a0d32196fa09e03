package main

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/config.golden")

// TestConfig_defaults makes a changed default a visible difference.
func TestConfig_defaults(t *testing.T) {
	t.Parallel()
	got, err := json.MarshalIndent(defaultConfig(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/config.golden"
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got)+"\n" {
		t.Errorf("the defaults are\n%s\n%s has\n%s\nif that is meant, run with -update", got, file, want)
	}
}

// Half of the connections are one account's at most, where nobody has said.
func TestConfig_concurrent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		most, said int
		want       int64
	}{{1000, 0, 500}, {5, 0, 3}, {1000, 7, 7}, {10, 20, 20}} {
		cfg := Config{MaxConnections: c.most, ConcurrentPerAccount: c.said}
		if got := cfg.concurrent(); got != c.want {
			t.Errorf("%d connections, %d for an account: %d, want %d", c.most, c.said, got, c.want)
		}
	}
}

func TestConfig_sources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	toml := file("a.toml", "region = \"eu-1\"\ns3_addr = \":1\"\nhosts = [\"a\"]\ndrain_timeout = \"1m\"\n")
	for _, name := range []string{toml, file("a.yaml", "region: eu-1\ns3_addr: \":1\"\nhosts: [a]\ndrain_timeout: 1m\n")} {
		cfg, err := loadConfig(name, []string{"PRIMECLOUD_S3_ADDR=:2", "PRIMECLOUD_DATABASE_URL_FILE=" + file("url", "postgres://x\n"), "PATH=x", "PRIMECLOUD_TOOLS=x"})
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Region != "eu-1" || cfg.S3Addr != ":2" || cfg.DatabaseURL != "postgres://x" || len(cfg.Hosts) != 1 || cfg.DrainTimeout.Minutes() != 1 || cfg.AdminAddr != defaultConfig().AdminAddr {
			t.Errorf("%s: %+v", name, cfg)
		}
	}
	for name, load := range map[string]func() error{
		"unknown variable":    func() error { _, err := loadConfig("", []string{"PRIMECLOUD_S3_ADR=:2"}); return err },
		"file of no secret":   func() error { _, err := loadConfig("", []string{"PRIMECLOUD_REGION_FILE=" + toml}); return err },
		"unknown key in TOML": func() error { _, err := loadConfig(file("b.toml", "regoin = \"x\"\n"), nil); return err },
		"unknown key in YAML": func() error { _, err := loadConfig(file("b.yaml", "regoin: x\n"), nil); return err },
		"bad duration":        func() error { _, err := loadConfig("", []string{"PRIMECLOUD_DRAIN_TIMEOUT=soon"}); return err },
		"bad boolean":         func() error { _, err := loadConfig("", []string{"PRIMECLOUD_ANY_NAMES=perhaps"}); return err },
		"another ending":      func() error { _, err := loadConfig(file("c.ini", ""), nil); return err },
	} {
		if load() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// TestConfig_flags: every setting but the secrets has a flag.
func TestConfig_flags(t *testing.T) {
	t.Parallel()
	cfg, f := defaultConfig(), (&cli{err: io.Discard}).flags("serve", "")
	cfg.flags(f)
	all, secrets := configNames()
	for _, name := range all {
		flag := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		if (f.Lookup(flag) != nil) == slices.Contains(secrets, name) {
			t.Errorf("--%s: %v", flag, f.Lookup(flag))
		}
	}
	if err := f.Parse([]string{"--any-names", "--max-buckets", "7", "--drain-timeout", "1m", "--hosts", "a,b", "--region", "eu"}); err != nil || !cfg.AnyNames || cfg.MaxBuckets != 7 {
		t.Errorf("%v: %+v", err, cfg)
	}
}

// TestConfig_validate reports every problem at once.
func TestConfig_validate(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig()
	cfg.Roles, cfg.S3Addr, cfg.LogFormat, cfg.LogLevel, cfg.TrustedProxies, cfg.MaxStale = []string{"gateway", "portal"}, "", "xml", "loud", []string{"x"}, duration{}
	cfg.Hosts, cfg.TenantDomain, cfg.PublicScheme = []string{"s3.example.com"}, "s3.example.com", "ftp"
	err := cfg.validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"portal", "database_url", "keyring", "s3_addr", "log_format", "log_level", "trusted_proxies", "public_scheme", "max_stale", "tenant_domain"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}
