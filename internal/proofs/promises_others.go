package main

// others are promises of pages that need not be complete.
var others = []promise{
	{
		"SECURITY.md", "19",
		"a row that holds something sealed says only what somebody with the keyring wrote",
		"./tenancy", "TestBinding_everyColumn|TestBinding_nothingIsLaundered",
		[]change{
			{"tenancy/binding.go", "\tf.Add(\"account_id\", k.AccountID.String())\n", ""},
			{"tenancy/binding.go", "\tf.Add(\"endpoints\", b.Endpoints...)\n", ""},
			{"tenancy/store_key.go", "if err := s.checkKey(k, secret.Hash(sealed), binding); err != nil {", "if err := error(nil); err != nil {"},
			{"internal/secret/binding.go", "if k.bound && !hmac.Equal(", "if k.bound && hmac.Equal(nil, binding) && !hmac.Equal("},
		},
	},
	{
		"SECURITY.md", "A stranger: no key, or a wrong one",
		"who sends or reads nothing, or next to nothing, is ended by the bound that is for it",
		"./proxy", "TestRules_C12_slowClients",
		[]change{
			{"proxy/conn.go", "\tc.socket.KeepReading(&c.in)\n", ""},
			{"proxy/listener.go", "\tsock.KeepWriting(&c.out)\n", ""},
			{"proxy/socket/pace.go", "float64(arrived-*mark) < float64(p.Rate)*p.Window.Seconds()", "arrived == *mark"},
			{"proxy/server.go", "\t\tReadTimeout: cfg.Limits.HeadTimeout,\n", ""},
			{"proxy/server.go", "\t\tIdleTimeout: cfg.Limits.Idle,\n", ""},
		},
	},
	{
		"SECURITY.md", "A tenant with a key",
		"a revoked key is refused by every node that has heard of that moment",
		"./cmd/primecloud", "TestRevocation",
		[]change{
			{"tenancy/listen.go", "\t\td.keys.invalidate(key)\n", ""},
			{"tenancy/listen.go", "SELECT hear_changes(); LISTEN ", "LISTEN "},
			{"internal/pg/migrations/0013_least_rights.sql", "WHEN 'access_keys' THEN PERFORM public.tell_change('key:' || r.key_id);", "WHEN 'access_keys' THEN NULL;"},
		},
	},
	{
		"SECURITY.md", "A backend that is hostile or confused",
		"a backend is told a request only behind a certificate of its CA, of now and of its address",
		"./proxy/upstream", "TestDo_certificates",
		[]change{
			{"proxy/upstream/pool.go", "ServerName: u.Hostname(),", "ServerName: u.Hostname(), InsecureSkipVerify: true,"},
			{"proxy/upstream/pool.go", "MinVersion: tls.VersionTLS12", "MinVersion: tls.VersionTLS10"},
			{"proxy/upstream/pool.go", "if p.cfg.CA != \"\" {", "if p.cfg.CA == \"?\" {"},
		},
	},
	{
		"README.md", "Run it for real",
		"/readyz says what is missing, of a gateway and of a worker",
		"./cmd/primecloud", "TestReadyz_database",
		[]change{
			{"cmd/primecloud/admin.go", "if n.workerLost.Load() {", "if n.workerLost.Load() && n.directory != nil {"},
			{"cmd/primecloud/admin.go", "if n.directory != nil && !n.directory.Connected() {", "if n.directory != nil && n.jobs != nil && !n.directory.Connected() {"},
			{"cmd/primecloud/admin.go", "writeJSON(w, http.StatusServiceUnavailable, \"not ready\", missing)", "writeJSON(w, http.StatusOK, \"not ready\", missing)"},
		},
	},
}
