package main

// configuration are the promises of docs/CONFIGURATION.md.
var configuration = []promise{
	{
		"CONFIGURATION.md", "When something is wrong",
		"whatever value a setting, a flag or an argument has, what is wrong with it is told in one sentence, which names it and says what to write",
		"./cmd/primecloud", "TestSentences_everySetting|TestSentences_everyFlagAndArgument",
		[]change{
			{"internal/settings/value.go", "\t\treturn set(into, text, quantity.ParseDuration)\n", "\t\t_ = quantity.ParseDuration\n\t\treturn set(into, text, time.ParseDuration)\n"},
			{"internal/settings/value.go", "\tif instead.IsEOL() {", "\tif instead.Value == \"\" {"},
			{"cmd/primecloud/main.go", "\t\terr = told(err)\n", ""},
			{"tenancy/key.go", "\t\t\treturn about(b, err)\n", "\t\t\treturn err\n"},
			{"internal/node/validate.go", "{\"s3.max_buckets\", cfg.S3.MaxBuckets,", "{\"buckets\", \"it\","},
		},
	},
	{
		"CONFIGURATION.md", "When something is wrong",
		"an address, a certificate, a database or a backend that cannot be used is told in one sentence too, with its setting and without a secret",
		"./cmd/primecloud", "TestWrongSettings|TestWrongSettings_used",
		[]change{
			{"internal/node/address.go", "case errors.Is(err, syscall.EADDRINUSE):", "case errors.Is(err, syscall.EBUSY):"},
			{"internal/dev/dev.go", "\tif err := cfg.Node.CheckOutside(); err != nil {\n\t\treturn err\n\t}\n", ""},
			{"internal/pg/pg.go", "return nil, unreachable(cfg.ConnConfig, err)", "return nil, err"},
			{"tenancy/backend.go", "\tcase errors.As(err, &unknown):\n", "\tcase unknown.Cert != nil:\n"},
			{"cmd/primecloud/operator.go", "\tdefer o.pool.Close()\n\tif err := pg.CheckVersion(ctx, o.pool); err != nil {\n\t\treturn err\n\t}\n", "\tdefer o.pool.Close()\n"},
		},
	},
	{
		"CONFIGURATION.md", "When something is wrong",
		"prices that cannot be used, and hours that were or are priced already, are refused with what to write instead",
		"./cmd/primecloud", "TestWrongSettings_rateCards",
		[]change{
			{"limits/rates.go", "\tcase !currency.MatchString(c.Currency):", "\tcase c.Currency == \"\":"},
			{"limits/rates.go", "\tcase pg.IsUnique(err):\n\t\treturn ErrCardExists\n", ""},
			{"cmd/primecloud/rates.go", "\t\tif r.From.Before(card.ValidFrom) {", "\t\tif r.From.Before(card.ValidFrom.AddDate(-20, 0, 0)) {"},
		},
	},
	{
		"CONFIGURATION.md", "When something is wrong",
		"serve warns of a secret's file that everybody can read and of a user with all rights in the database, and of nothing else",
		"./cmd/primecloud", "TestServe_warns",
		[]change{
			{"internal/settings/settings.go", "info.Mode().Perm()&0o004 != 0", "info.Mode().Perm()&0o002 != 0"},
			{"internal/pg/check.go", "rolsuper OR rolbypassrls OR pg_has_role(oid, $1, 'USAGE')", "rolbypassrls AND NOT pg_has_role(oid, $1, 'USAGE')"},
			{"internal/node/node.go", "\tcase much:\n", "\tcase true || much:\n"},
		},
	},
}
