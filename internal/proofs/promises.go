package main

// promises are those whose tests are tried against changes: three at least, each
// in another place, each a mistake that somebody could make.
var promises = []promise{
	{
		"METERING.md", "the journal is on the disk every sync_interval: a lost machine loses what was counted since",
		"./metering", "TestJournal_synced|TestJournal_machineLost",
		[]change{
			{"metering/journal.go", "if err := unix.Msync(s, unix.MS_SYNC); err != nil {\n\t\t\treturn fmt", "if err := error(nil); s == nil {\n\t\t\treturn fmt"},
			{"metering/journal.go", "range segments {", "range segments[:1] {"},
			{"metering/meter.go", "ticking.Go(func() { every(ctx, m.cfg.SyncInterval, m.sync) })", "_ = m.sync"},
		},
	},
	{
		"METERING.md", "a seal covers the one before and every column of what it seals, in whatever order it lies",
		"./metering", "TestVerify_everyColumn|TestVerify_begunAnew",
		[]change{
			{"metering/seal.go", "declared_egress_bytes, read_at", "0::bigint, read_at"},
			{"metering/seal.go", `FROM usage_readings WHERE hour = $1 ORDER BY epoch, account_id, bucket_id, key_id, class COLLATE "C"`, "FROM usage_readings WHERE hour = $1"},
			{"metering/seal.go", "append(b, s.Previous[:]...)", "b"},
		},
	},
	{
		"LIMITS.md", "what a silent node holds of a budget counts as used until its readings are final, and then as much as they say",
		"./limits", "TestBudget_deadNode",
		[]change{
			{"limits/store.go", "r.budget == q.budget && s.present(r) {", "r.budget == q.budget && s.present(r) && (r.live || r.final) {"},
			{"limits/store.go", "return max(r.granted, r.ledger)", "return r.ledger"},
			{"limits/store.go", "\tcase r.final:\n\t\treturn r.ledger\n\t}\n\treturn max(r.granted", "\t}\n\treturn max(r.granted"},
		},
	},
	{
		"ARCHITECTURE.md", "an object is made only where a listing has it and hides no other, and who has an answer may send what contradicts it",
		"./proxy", "TestNames_everyOperation|TestNames_versions|TestNames_freed",
		[]change{
			{"proxy/look.go", "return l.askObject(name)", "return nil"},
			{"proxy/look.go", "status == 404 && len(a.resp.Header(\"x-amz-delete-marker\")) == 0", "status == 404"},
			{"proxy/look.go", "\tl.claims.Release()\n", ""},
			{"proxy/body.go", "\tif err := b.x.nameFree(); err != nil {\n\t\treturn b.fail(err)\n\t}\n", ""},
		},
	},
	{
		"ARCHITECTURE.md", "nothing of a backend's words reaches a client but S3's own answers",
		"./proxy", "TestF1_backendsWords",
		[]change{
			{"proxy/answerheaders.go", "row := x.op.Tells(key)\n", "row := x.op.Tells(key)\n\t\tif row == nil {\n\t\t\th.AddBytesKV(key, value)\n\t\t}\n"},
			{"proxy/respond.go", "Message:   e.text(),", "Message:   e.Error(),"},
			{"proxy/backenderror.go", "\t}\n\treturn false\n}\n\n// errorStatuses", "\t}\n\treturn true\n}\n\n// errorStatuses"},
		},
	},
	{
		"METERING.md", "a request that nobody proved, and that the backend has not let in, is nobody's to pay",
		"./proxy", "TestStranger_cost|TestStranger_leavesFirst",
		[]change{
			{"proxy/authorize.go", "(x.bucket == nil || !x.public)", "x.bucket == nil"},
			{"proxy/forward.go", "\tx.asking()\n\terr := x.backend.pool.Do(", "\tx.public = x.public || x.anonymous()\n\tx.asking()\n\terr := x.backend.pool.Do("},
			{"proxy/s3op/counting.go", "case o == nil, by == Nobody, unbilled(status):", "case o == nil, unbilled(status):"},
		},
	},
	{
		"METERING.md", "a request is counted once, with its bytes, in its class and cell, wherever its client leaves",
		"./proxy", "TestCounting",
		[]change{
			{"proxy/s3op/counting.go", "status == 401 || status == 403 || status >= 500", "status == 401 || status >= 500"},
			{"proxy/s3op/counting.go", "case by == Internal && !o.MovesObject():", "case by == Internal:"},
			{"proxy/s3op/table.go", `{Name: "HeadBucket", Method: "HEAD", Level: Bucket, Class: classB`, `{Name: "HeadBucket", Method: "HEAD", Level: Bucket, Class: classA`},
			{"proxy/settle.go", "\tx.tally.Request()\n", ""},
		},
	},
	{
		"ARCHITECTURE.md", "an object is stored only when all of it has come and its signatures and digests were right",
		"./proxy", "TestRules_commit",
		[]change{
			{"sigv4/chunk.go", "if subtle.ConstantTimeCompare(w.sign(w.hex[:0], c.key, w.sts), c.current[:]) != 1 {", "if subtle.ConstantTimeCompare(w.sign(w.hex[:0], c.key, w.sts), c.current[:]) < 0 {"},
			{"sigv4/chunk.go", "func (c *ChunkReader) end() error {\n\tif err := c.verifyChunk(); err != nil {\n\t\treturn err\n\t}\n", "func (c *ChunkReader) end() error {\n"},
			{"sigv4/chunk.go", "if !bytes.Equal(encoded[:n], value) {", "if !bytes.Equal(encoded[:n], value) && value == nil {"},
		},
	},
	{
		"SECURITY.md", "a row that holds something sealed says only what somebody with the keyring wrote",
		"./tenancy", "TestBinding_everyColumn|TestBinding_nothingIsLaundered",
		[]change{
			{"tenancy/binding.go", "\tf.Add(\"account_id\", k.AccountID.String())\n", ""},
			{"tenancy/binding.go", "\tf.Add(\"endpoints\", b.Endpoints...)\n", ""},
			{"tenancy/store_key.go", "if err := s.checkKey(k, secret.Hash(sealed), binding); err != nil {", "if err := error(nil); err != nil {"},
			{"internal/secret/binding.go", "if k.bound && !hmac.Equal(", "if k.bound && hmac.Equal(nil, binding) && !hmac.Equal("},
		},
	},
	{
		"SECURITY.md", "a revoked key is refused by every node that has heard of that moment",
		"./cmd/primecloud", "TestRevocation",
		[]change{
			{"tenancy/listen.go", "\t\td.keys.invalidate(key)\n", ""},
			{"tenancy/listen.go", "SELECT hear_changes(); LISTEN ", "LISTEN "},
			{"internal/pg/migrations/0013_least_rights.sql", "WHEN 'access_keys' THEN PERFORM public.tell_change('key:' || r.key_id);", "WHEN 'access_keys' THEN NULL;"},
		},
	},
	{
		"ARCHITECTURE.md", "what a node remembers of a row it forgets when the row changes, whoever changed it",
		"./tenancy", "TestDirectory_hearsChanges",
		[]change{
			{"internal/pg/migrations/0013_least_rights.sql", "PERFORM public.tell_change('account:' || r.account_id);", "NULL;"},
			{"internal/pg/migrations/0013_least_rights.sql", "PERFORM public.tell_change('bucket:' || account_id || '/' || name) FROM", "PERFORM 1 FROM"},
			{"internal/pg/migrations/0013_least_rights.sql", "PERFORM public.tell_change('key:' || k.key_id) FROM", "PERFORM 1 FROM"},
			{"tenancy/listen.go", "\t\td.names.invalidate(key)\n", ""},
		},
	},
	{
		"SECURITY.md", "a backend is told a request only behind a certificate of its CA, of now and of its address",
		"./proxy/upstream", "TestDo_certificates",
		[]change{
			{"proxy/upstream/pool.go", "ServerName: u.Hostname(),", "ServerName: u.Hostname(), InsecureSkipVerify: true,"},
			{"proxy/upstream/pool.go", "MinVersion: tls.VersionTLS12", "MinVersion: tls.VersionTLS10"},
			{"proxy/upstream/pool.go", "if p.cfg.CA != \"\" {", "if p.cfg.CA == \"?\" {"},
		},
	},
	{
		"README.md", "/readyz says what is missing, of a gateway and of a worker",
		"./cmd/primecloud", "TestReadyz_database",
		[]change{
			{"cmd/primecloud/admin.go", "if n.workerLost.Load() {", "if n.workerLost.Load() && n.directory != nil {"},
			{"cmd/primecloud/admin.go", "if n.directory != nil && !n.directory.Connected() {", "if n.directory != nil && n.jobs != nil && !n.directory.Connected() {"},
			{"cmd/primecloud/admin.go", "writeJSON(w, http.StatusServiceUnavailable, \"not ready\", missing)", "writeJSON(w, http.StatusOK, \"not ready\", missing)"},
		},
	},
}
