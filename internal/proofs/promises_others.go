package main

// others are promises of pages that need not be complete.
var others = []promise{
	{
		"ARCHITECTURE.md", "19",
		"a row that holds something sealed says only what somebody with the keyring wrote",
		"./tenancy", "TestBinding_everyColumn|TestBinding_nothingIsLaundered",
		[]change{
			{"tenancy/binding.go", "\tf.Add(\"account_id\", k.AccountID.String())\n", ""},
			{"tenancy/binding.go", "\tf.Add(\"endpoints\", b.Endpoints...)\n", ""},
			{"tenancy/store_key.go", "if err := s.checkKey(k, secret.Hash(sealed), binding); err != nil {", "if err := error(nil); err != nil {"},
			{"internal/secret/binding.go", "if k.Binding() && !hmac.Equal(", "if k.Binding() && hmac.Equal(nil, binding) && !hmac.Equal("},
		},
	},
	{
		"SECURITY.md", "A stranger: no key, or a wrong one",
		"who sends or reads nothing, or next to nothing, is ended by the bound that is for it",
		"./proxy", "TestRules_C12_slowClients",
		[]change{
			{"proxy/clientconn/conn.go", "\tc.socket.KeepReading(&c.in)\n", ""},
			{"proxy/clientconn/conn.go", "\tsock.KeepWriting(&c.out)\n", ""},
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
		"while PostgreSQL is away a node serves what it knows for max_stale, is ready and says so; then it is not ready, and a worker never is",
		"./cmd/primecloud", "TestReadyz_database",
		[]change{
			{"internal/node/worker.go", "lost.Store(n.clock.Compare(asking, pool) != nil)", "lost.Store(n.clock.Compare(asking, pool) != nil && len(n.addrs.S3) > 0)"},
			{"internal/node/checks.go", "case since.IsZero():", "case since.IsZero(), true:"},
			{"internal/node/checks.go", "\tcase now.Before(until):\n", "\tcase now.Before(until) && until.IsZero():\n"},
			{"internal/node/checks.go", "\t\tr.OK = true\n", ""},
			{"internal/health/health.go", "write(w, r.Status.Code(), r)", "write(w, http.StatusOK, r)"},
		},
	},
	{
		"README.md", "Run it for real",
		"/readyz, on its own listener and on S3's port, is what clients get: not ready with rights, journal, epoch, certificate or listeners broken, and while the node drains",
		"./cmd/primecloud", "TestReadyz_truth",
		[]change{
			{"internal/node/checks.go", "case errors.Is(err, pg.ErrRole):", "case errors.Is(err, pg.ErrRole) && lacks.Load() != nil:"},
			{"internal/node/checks.go", "case m.Retired():", "case m.Retired() && m.Contested():"},
			{"metering/meter.go", "errors.Join(m.journal.sync(), m.journal.exists())", "m.journal.sync()"},
			{"internal/listen/pair.go", "case now.After(leaf.NotAfter):", "case now.After(leaf.NotAfter.AddDate(1, 0, 0)):"},
			{"internal/listen/accept.go", "case failed != 0 && time", "case failed == 0 && time"},
			{"internal/node/service.go", "\tif state == health.Draining {\n\t\tr.Status = state\n\t}\n", ""},
			{"proxy/health.go", "ctx.SetStatusCode(status.Code())", "ctx.SetStatusCode(fasthttp.StatusOK)"},
		},
	},
	{
		"README.md", "Run it for real",
		"nodes behind a balancer that follows /readyz are restarted one after the other without a request that is refused or cut",
		"./cmd/primecloud", "TestRollingRestart",
		[]change{
			{"internal/node/node.go", "<-time.After(n.cfg.DrainDelay)", "<-time.After(n.cfg.DrainDelay / 1000)"},
			{"internal/node/node.go", "\tn.services.Draining()\n", ""},
			{"internal/node/gateway.go", "\t\t\tctx, done := context.WithTimeout(ctx, n.cfg.DrainTimeout)\n", "\t\t\tctx, done := context.WithTimeout(ctx, 0)\n"},
		},
	},
	{
		"README.md", "Run it for real",
		"the port that balancers ask says nothing but the status, and what they ask is no request: it hides no customer's key, and is neither counted nor billed",
		"./proxy", "TestHealth_asked|TestHealth_uncounted|TestHealth_customersKey",
		[]change{
			{"proxy/health.go", " || s.namesBucket(h.Host())", ""},
			{"proxy/health.go", "\tctx.SetConnectionClose()\n\treturn true\n", "\treturn true\n"},
			{"proxy/handler.go", "\tif !s.answerHealth(ctx) {\n\t\ts.handle(ctx)\n\t}\n", "\ts.handle(ctx)\n\ts.answerHealth(ctx)\n"},
			{"proxy/health.go", "string(h.RequestURI()) != readyPath", "string(ctx.Path()) != readyPath"},
		},
	},
	{
		"README.md", "Run it for real",
		"a certificate that is replaced is used for new handshakes and cuts none; one that cannot be used leaves the old one in use",
		"./internal/listen", "TestPair_Load|TestPair_bad|TestPair_expires",
		[]change{
			{"internal/listen/pair.go", "\tp.current.Store(cert)\n\treturn nil\n", "\treturn nil\n"},
			{"internal/listen/pair.go", "if err := invalid(cert, p.now()); err != nil {", "if err := invalid(cert, p.now()); err != nil && cert == nil {"},
			{"internal/listen/pair.go", "func (p *Pair) Load(certFile, keyFile string) error {\n", "func (p *Pair) Load(certFile, keyFile string) error {\n\tp.current.Store(&tls.Certificate{Leaf: p.current.Load().Leaf})\n"},
		},
	},
	{
		"README.md", "Run it for real",
		"SIGHUP, or a file that changes, makes a node take up what it can, name what it cannot, and end nothing",
		"./cmd/primecloud", "TestReload_settings|TestReload_certificate",
		[]change{
			{"internal/node/signals.go", "\tsignal.Notify(hangups, syscall.SIGHUP)\n", "\tsignal.Notify(hangups, syscall.SIGUSR2)\n"},
			{"internal/reload/reload.go", "return now != w.loaded && now == w.seen ||", "return"},
			{"internal/node/reload.go", "\t\tfor _, apply := range n.apply {\n\t\t\tapply(next)\n\t\t}\n", ""},
			{"internal/node/reload.go", "if len(restart) > 0 {", "if len(restart) > 100 {"},
		},
	},
	{
		"SECURITY.md", "What each of these people can do at most",
		"an account's status decides for every operation, in whatever way it is asked for: headers, URLs, forms, and readers without a key",
		"./proxy", "TestRights_status",
		[]change{
			{"proxy/authorize.go", "if x.op.Writes() && x.op.Permission&tenancy.Delete == 0 {", "if x.op.Writes() && x.op.Permission&tenancy.Write != 0 {"},
			{"proxy/authorize.go", "\tdefault:\n\t\treturn errStopped\n", "\tcase tenancy.Suspended, tenancy.Closed:\n\t\treturn errStopped\n"},
			{"proxy/authorize.go", "\tif err := x.mayAct(now); err != nil {\n", "\tif err := x.mayAct(now); err != nil && x.identity != nil {\n"},
		},
	},
	{
		"SECURITY.md", "What each of these people can do at most",
		"a key's buckets, prefix, networks and end hold for every operation, in whatever way it is asked for, and each right is for its own operations",
		"./proxy", "TestRights_keys",
		[]change{
			{"proxy/authorize.go", "if len(id.CIDRs) > 0 && !slices", "if len(id.CIDRs) > 0 && x.op.Body != s3op.Form && !slices"},
			{"proxy/authorize.go", "\t\tif !strings.HasPrefix(string(prefix), id.Prefix) {", "\t\tif !strings.HasPrefix(id.Prefix, string(prefix)) && !strings.HasPrefix(string(prefix), id.Prefix) {"},
			{"proxy/batchdelete.go", "\treturn x.mayTouch(x.bucketName, []byte(o.Key))\n", "\treturn nil\n"},
		},
	},
	{
		"SECURITY.md", "A tenant with a key",
		"a copy reads its source as a GET with that key would: right, bucket list and prefix",
		"./proxy", "TestRules_keys",
		[]change{
			{"proxy/copysource.go", "\tif x.identity.Permission&tenancy.Read == 0 {\n\t\treturn errRight\n\t}\n", ""},
			{"proxy/copysource.go", "x.mayTouch(bucket, key)", "x.mayTouch(x.bucketName, key)"},
			{"proxy/authorize.go", "\t\tif !bytes.HasPrefix(key, []byte(id.Prefix)) {", "\t\tif !bytes.HasPrefix(x.key, []byte(id.Prefix)) {"},
		},
	},
	{
		"SECURITY.md", "A tenant with a key",
		"whose a bucket is to be, or a copy's source, is held against the account, whatever the operation and however it is asked for",
		"./proxy", "TestRights_expectedOwner",
		[]change{
			{"proxy/copysource.go", "return x.expectedOwner(\"x-amz-source-expected-bucket-owner\")", "return nil"},
			{"proxy/postform.go", "\tif err := x.expectedOwner(\"x-amz-expected-bucket-owner\"); err != nil {\n\t\treturn err\n\t}\n", ""},
			{"proxy/authorize.go", "string(want) != x.account.CanonicalID", "len(want) != len(x.account.CanonicalID)"},
		},
	},
	{
		"SECURITY.md", "What is trusted",
		"the client's address is what the nearest proxy that is not trusted has, and only a trusted one is believed",
		"./proxy", "TestRights_trustedProxies",
		[]change{
			{"proxy/host.go", "\tif !x.srv.trusted(addr) {\n\t\treturn addr\n\t}\n\tfor i", "\tif len(*x.srv.proxies.Load()) == 0 {\n\t\treturn addr\n\t}\n\tfor i"},
			{"proxy/host.go", "\t\t\tif !x.srv.trusted(addr) {\n\t\t\t\treturn addr\n\t\t\t}\n", ""},
			{"proxy/parse.go", "\tx.remote = x.clientAddr()\n", "\tx.remote = x.conn.Addr()\n"},
		},
	},
	{
		"SECURITY.md", "A tenant with a key",
		"the largest object is a bound on every way to send one",
		"./proxy", "TestRights_objectSize",
		[]change{
			{"proxy/admit.go", "if most := x.srv.cfg.Limits.ObjectSize; x.length > most {", "if most := x.srv.cfg.Limits.ObjectSize; x.length > most && !payload.Chunked() {"},
			{"proxy/postform.go", "\tif most := x.srv.cfg.Limits.ObjectSize; length > most {\n\t\treturn s3err.TooLarge(length, most)\n\t}\n", ""},
			{"proxy/admit.go", "\tcase s3op.Stream:\n\t\tif x.length < 0", "\tcase s3op.Stream:\n\t\tif x.op.Name == \"UploadPart\" {\n\t\t\treturn nil\n\t\t}\n\t\tif x.length < 0"},
		},
	},
	{
		"SECURITY.md", "Somebody reads the logs",
		"no secret and no signature of whatever is sent, well-formed or not, is in the log or in the access log, however a backend quotes it",
		"./proxy", "TestLogs_A17_secrets",
		[]change{
			{"proxy/parse.go", "Cause: errHeadBad}", "Cause: err}"},
			{"proxy/accesslog.go", "\t\tif bytes.ContainsAny(pair, \";#? \") || secretParam(pair) {\n", "\t\tif bytes.ContainsAny(pair, \";#? \") {\n"},
			{"proxy/accesslog.go", "\t\t\tr.Referer = x.keepPublic(value)\n", "\t\t\tr.Referer = x.keep(value)\n"},
		},
	},
	{
		"SECURITY.md", "Somebody reads the logs",
		"what holds a secret prints and is logged without it, whatever the verb or handler",
		"./tenancy", "TestSecretsDoNotPrint",
		[]change{
			{"tenancy/redact.go", "func (i *Identity) GoString() string { return i.String() }", "func (i *Identity) GoString() string { return fmt.Sprintf(\"key %q\", i.Secret) }"},
			{"tenancy/redact.go", "// LogValue is for slog.\nfunc (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }\n", ""},
			{"tenancy/redact.go", "// MarshalJSON leaves the credential out.\nfunc (b Backend) MarshalJSON()", "// Public is what others may see.\nfunc (b Backend) Public()"},
			{"tenancy/redact.go", "// GoString is for %#v.\nfunc (b Backend) GoString() string { return b.String() }\n", ""},
		},
	},
	{
		"SECURITY.md", "Somebody reads the operator's database, or a backup of it",
		"no row of the database has a secret that the database could open, and none opens in another row",
		"./tenancy", "TestStore_sealed",
		[]change{
			{"tenancy/store_key.go", "k.ID, k.KeyID, k.AccountID, k.Kind, user, k.Description, sealed, binding, k.Permissions", "k.ID, k.KeyID, k.AccountID, k.Kind, user, k.Description+k.Secret, sealed, binding, k.Permissions"},
			{"tenancy/store_key.go", "if sealed, err = s.Keyring.Seal(keyPlace(k.ID), []byte(k.Secret)); err != nil {", "if sealed, err = []byte(k.Secret), error(nil); err != nil {"},
			{"tenancy/store_backend.go", "if sealed, err = s.Keyring.Seal(backendPlace(b.ID), plain); err != nil {", "if sealed, err = plain, error(nil); err != nil {"},
			{"internal/secret/keyring.go", "p.keys = append(p.keys, key{id: one.id, public: one.public})", "p.keys = append(p.keys, one)"},
		},
	},
	{
		"S3-COMPATIBILITY.md", "Buckets",
		"rules for unfinished uploads are in force as the last document has them, whole, whatever was lost on its way, and end what is old enough and theirs, and nothing else",
		"./proxy", "TestUploadRules_givenBack|TestUploadRules_minio|TestUploadRules_lostAnswer|TestUploadRules_versions|TestUploadRules_aborted|TestUploadRules_inForceAlone",
		[]change{
			{"proxy/handlers.go", "return x.keepUploadRules(understood)", "return understood, nil"},
			{"lifecycle/uploads.go", "AddDate(0, 0, -r.Days)", "AddDate(0, 0, 1)"},
			{"lifecycle/uploads.go", "\t\tif r.Enabled {\n", "\t\tif r.Days > 0 {\n"},
			{"metering/storage/oldupload.go", "substring(key FOR length($2::bytea)) = $2", "$2::bytea IS NOT NULL"},
			{"tenancy/store_uploadrules.go", "WHERE bucket_id = $1 AND version = $2 ORDER", "WHERE bucket_id = $1 AND $2::uuid IS NOT NULL ORDER"},
			{"internal/pg/migrations/0015_upload_rules.sql", "version <> named AND", ""},
		},
	},
}
