package node

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/settings"
	"github.com/primecloudpro/primecloud/proxy"
)

// complaints are what is wrong with a configuration: a sentence for each setting,
// which names it, what it is and what to write.
type complaints struct{ errs []error }

func (c *complaints) add(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// validate reports every problem at once.
func (cfg *Config) validate() error {
	var c complaints
	cfg.checkRoles(&c)
	cfg.checkSecrets(&c)
	cfg.checkListeners(&c)
	cfg.checkWords(&c)
	cfg.checkNumbers(&c)
	if _, err := cfg.DomainRules(); err != nil {
		c.errs = append(c.errs, err)
	}
	return settings.Invalid(errors.Join(c.errs...))
}

func (cfg *Config) checkRoles(c *complaints) {
	known := strings.Join(knownRoles, ", ")
	for _, r := range cfg.Roles {
		if !slices.Contains(knownRoles, r) {
			c.add("roles: there is no role %q in this version; write one or more of %s", r, known)
		}
	}
	if len(cfg.Roles) == 0 {
		c.add("roles: at least one is needed; write one or more of %s", known)
	}
}

func (cfg *Config) checkSecrets(c *complaints) {
	url := func(role, setting, variable, given, user string) {
		switch _, err := pg.ParseConfig(given); {
		case !cfg.has(role):
		case given == "" && role == RoleWorker:
			c.add("%s: set PRIMECLOUD_%s or PRIMECLOUD_%[2]s_FILE (the role is %s), or leave the role worker to other nodes: --roles gateway", setting, variable, user)
		case given == "":
			c.add("%s: set PRIMECLOUD_%s or PRIMECLOUD_%[2]s_FILE (the role is %s)", setting, variable, user)
		case err != nil:
			c.add("%s: %w", setting, err)
		}
	}
	url(RoleWorker, "database.worker_url", "WORKER_DATABASE_URL", cfg.Database.WorkerURL, pg.RoleWorker)
	url(RoleGateway, "database.url", "DATABASE_URL", cfg.Database.URL, pg.RoleGateway)
	if cfg.Keyring == "" {
		c.add("keyring: set PRIMECLOUD_KEYRING_FILE; make one with `primecloud secret generate FILE`")
	} else if k, err := secret.Parse([]byte(cfg.Keyring)); err != nil {
		c.add("keyring: %w", err)
	} else if !k.CanOpen() {
		c.add("keyring: it has public keys only; the roles gateway and worker need the one with private keys")
	}
}

func (cfg *Config) checkListeners(c *complaints) {
	if cfg.has(RoleGateway) && cfg.S3.Addr == "" && cfg.TLS.Addr == "" {
		c.add("s3.addr, tls.addr: both are empty; write one at least, like :9000")
	}
	if cfg.TLS.Addr != "" && (cfg.TLS.Cert == "" || cfg.TLS.Key == "") {
		c.add("tls.cert, tls.key: with tls.addr = %q both are needed; name the files of certificate chain and private key, in PEM", cfg.TLS.Addr)
	}
	if err := proxy.CheckHosts(cfg.S3.Hosts, cfg.S3.TenantDomain); err != nil {
		c.errs = append(c.errs, err)
	}
}

func (cfg *Config) checkWords(c *complaints) {
	for _, s := range []struct {
		setting, value string
		words          []string
	}{
		{"s3.public_scheme", cfg.S3.PublicScheme, []string{"", "http", "https"}},
		{"log.format", cfg.Log.Format, []string{"text", "json"}},
	} {
		if !slices.Contains(s.words, s.value) {
			c.add("%s: there is no %q; write %s", s.setting, s.value, strings.TrimPrefix(strings.Join(s.words, " or "), " or "))
		}
	}
	if _, err := cfg.level(); err != nil {
		c.add("log.level: there is no level %q; write debug, info, warn or error", cfg.Log.Level)
	}
	if cfg.S3.Region == "" {
		c.add("s3.region: it is empty; write the region that clients sign for, like us-east-1")
	}
}

// checkNumbers holds sizes, counts and durations to what makes sense.
func (cfg *Config) checkNumbers(c *complaints) {
	for _, s := range []struct {
		setting   string
		value     any
		good      bool
		tooLittle string
	}{
		{"drain_delay", cfg.DrainDelay, cfg.DrainDelay >= 0, "0s or more, like 5s"},
		{"drain_timeout", cfg.DrainTimeout, cfg.DrainTimeout >= 0, "0s or more, like 5m"},
		{"database.max_stale", cfg.Database.MaxStale, cfg.Database.MaxStale > 0, "more, like 1m"},
		{"journal.flush_interval", cfg.Journal.FlushInterval, cfg.Journal.FlushInterval > 0, "more, like 2s"},
		{"journal.sync_interval", cfg.Journal.SyncInterval, cfg.Journal.SyncInterval > 0, "more, like 1s"},
		{"s3.max_connections", cfg.S3.MaxConnections, cfg.S3.MaxConnections > 0, "1 or more"},
		{"s3.max_buckets", cfg.S3.MaxBuckets, cfg.S3.MaxBuckets > 0, "1 or more"},
		{"s3.connections_per_address", cfg.S3.ConnectionsPerAddress, cfg.S3.ConnectionsPerAddress >= 0, "1 or more, or 0 for no bound"},
		{"s3.concurrent_per_account", cfg.S3.ConcurrentPerAccount, cfg.S3.ConcurrentPerAccount >= 0, "1 or more, or 0 for half of max_connections"},
		{"s3.unverified_mib", cfg.S3.UnverifiedMiB, cfg.S3.UnverifiedMiB > 0, "1 or more"},
		{"s3.documents_mib", cfg.S3.DocumentsMiB, cfg.S3.DocumentsMiB >= minDocumentsMiB, fmt.Sprintf("%d or more, which one request may need", minDocumentsMiB)},
		{"access_log.unproven_mib", cfg.AccessLog.UnprovenMiB, cfg.AccessLog.UnprovenMiB > 0, "1 or more"},
		{"access_log.unproven_kib", cfg.AccessLog.UnprovenKiB, cfg.AccessLog.UnprovenKiB > 0, "1 or more"},
		{"access_log.unproven_bucket_kib", cfg.AccessLog.UnprovenBucketKiB, cfg.AccessLog.UnprovenBucketKiB > 0, "1 or more"},
		{"access_log.rotate_mib", cfg.AccessLog.RotateMiB, cfg.AccessLog.RotateMiB > 0, "1 or more"},
		{"access_log.keep", cfg.AccessLog.Keep, cfg.AccessLog.Keep > 0, "more, like 168h"},
		{"access_log.delivery", cfg.AccessLog.Delivery, cfg.AccessLog.Delivery > 0, "more, like 5m"},
	} {
		if !s.good {
			c.add("%s: %v is too little; write %s", s.setting, s.value, s.tooLittle)
		}
	}
	if cfg.AccessLog.KeepMiB < cfg.AccessLog.RotateMiB {
		c.add("access_log.keep_mib: %d is below access_log.rotate_mib, %d, the size of one file; write that or more", cfg.AccessLog.KeepMiB, cfg.AccessLog.RotateMiB)
	}
	if cfg.AccessLog.MaxMiB < cfg.AccessLog.KeepMiB {
		c.add("access_log.max_mib: %d is below access_log.keep_mib, %d; write that or more", cfg.AccessLog.MaxMiB, cfg.AccessLog.KeepMiB)
	}
}

func (cfg *Config) level() (slog.Level, error) {
	var l slog.Level
	err := l.UnmarshalText([]byte(cfg.Log.Level))
	return l, err
}
