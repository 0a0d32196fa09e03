package main

// invariants are those of ARCHITECTURE.md, by their numbers.
var invariants = []promise{
	{
		"ARCHITECTURE.md", "1",
		"of a client's parameters and headers those arrive that the operation's row has, and no others",
		"./proxy", "TestBoundary_seeds|TestNothing_headersOfOthers",
		[]change{
			{"proxy/forward.go", "if h.Group&x.op.Headers == 0 ||", "if h.Group == 0 ||"},
			{"proxy/forward.go", "if x.op.Takes(p.Name) {", "if len(p.Name) > 0 {"},
			{"proxy/s3op/headers.go", "droppedHeader  = Header{Treatment: Consume}", "droppedHeader  = Header{Group: Content}"},
		},
	},
	{
		"ARCHITECTURE.md", "1",
		"a head that would end a line, frame its body twice or begin another request is not sent, wherever its text is from",
		"./proxy/upstream", "TestHead_refuses",
		[]change{
			{"proxy/upstream/head.go", "case c == '?' && !query:", "case c == '?':"},
			{"proxy/upstream/head.go", "if classes[c]&inFieldValue == 0 {", "if c == '\\n' {"},
			{"proxy/upstream/head.go", "if framing(name) {", "if string(name) == \"content-length\" {"},
			{"proxy/upstream/do.go", "return h.err\n", "return nil\n"},
		},
	},
	{
		"ARCHITECTURE.md", "2",
		"bucket, key, version and copy source arrive as they were authorised, decoded once and encoded once",
		"./proxy", "TestAuthorised_isSent",
		[]change{
			{"proxy/outgoing.go", "x.arena = sigv4.AppendEscape(x.arena, o.target.Path, true)", "x.arena = append(x.arena, o.target.Path...)"},
			{"sigv4/request.go", "t.decode(path, false)", "t.decode(path, true)"},
			{"proxy/forward.go", "x.arena = sigv4.AppendEscape(x.arena, x.source.key, true)", "x.arena = append(x.arena, x.source.key...)"},
			{"proxy/forward.go", "append(x.arena, x.source.bucket.BackendName...)", "append(x.arena, x.bucket.BackendName...)"},
			{"proxy/forward.go", "if x.source.versionID != nil {", "if len(x.source.versionID) > maxKey {"},
		},
	},
	{
		"ARCHITECTURE.md", "3",
		"an upload, a document or a form is not carried out when key, account or bucket have changed before its last byte",
		"./proxy", "TestRecheck_upload",
		[]change{
			{"proxy/body.go", "\tif err := b.x.recheckLast(); err != nil {\n\t\treturn b.fail(err)\n\t}\n", ""},
			{"proxy/document.go", "return doc.b, x.recheckLast()", "return doc.b, nil"},
			{"proxy/recheck.go", "id.ID != old.ID || ", ""},
			{"proxy/recheck.go", "\t\tx.account = account\n", "\t\t_ = account\n"},
			{"proxy/authorize.go", "\tif x.bucket != nil && bucket.ID != x.bucket.ID {\n\t\treturn nil, tenancy.ErrBucketUnknown // another one took its name\n\t}\n", ""},
		},
	},
	{
		"ARCHITECTURE.md", "3",
		"a body that is not to be completed cuts its connection to the backend, and is not asked for again",
		"./proxy/upstream", "TestDo_bodyFails|TestDo_earlyAnswer|TestDo_again",
		[]change{
			{"proxy/upstream/do.go", "\t\tc.close()\n\t\tresp.conn = nil\n", "\t\te.put(c)\n\t\tresp.conn = nil\n"},
			{"proxy/upstream/do.go", "\t\tresp.spent = true\n", ""},
			{"proxy/upstream/do.go", "\tw.x.taken = true\n", ""},
		},
	},
	{
		"ARCHITECTURE.md", "4",
		"nobody is taken for somebody whose secret he has not, and no key is good at another account's host",
		"./proxy", "TestAuthenticated",
		[]change{
			{"proxy/verify.go", "x.auth.Verify(&x.req, x.signing); err != nil {", "x.auth.Verify(&x.req, x.signing); err != nil && x.op.Writes() {"},
			{"proxy/verify.go", "x.account != nil && x.account.ID != account.ID", "x.account != nil && x.host.domain && x.account.ID != account.ID"},
			{"proxy/postform.go", "x.auth.VerifyPolicy(text, signingKey(x)); err != nil {", "x.auth.VerifyPolicy(text, signingKey(x)); err != nil && text == \"\" {"},
			{"proxy/postform.go", "x.account != nil && x.account.ID != account.ID", "x.account != nil && x.host.domain && x.account.ID != account.ID"},
		},
	},
	{
		"ARCHITECTURE.md", "5",
		"what cannot be asked now is not said to be unknown, and what was known to be absent is asked for again",
		"./tenancy", "TestDirectory_outage|TestDirectory_holds",
		[]change{
			{"tenancy/table.go", "return zero, errors.Join(ErrUnavailable, err)", "return zero, t.absent"},
			{"tenancy/table.go", "if e.err != nil && !errors.Is(e.err, t.absent) {", "if e.err != nil && t.absent == nil {"},
			{"tenancy/hearing.go", "return h.connected && epoch == h.epoch && time.Since(at) < d.cfg.NegativeTTL", "return epoch == h.epoch && time.Since(at) < d.cfg.NegativeTTL"},
		},
	},
	{
		"ARCHITECTURE.md", "5",
		"while PostgreSQL is away an unknown key gets 503, and what is known goes on",
		"./proxy", "TestDirectoryAway",
		[]change{
			{"proxy/errors.go", "{tenancy.ErrUnavailable, \"ServiceUnavailable\"}", "{tenancy.ErrUnavailable, \"InvalidAccessKeyId\"}"},
			{"tenancy/table.go", "return zero, errors.Join(ErrUnavailable, err)", "return zero, errors.Join(t.absent, err)"},
			{"tenancy/table.go", "if e.err != nil && !errors.Is(e.err, t.absent) {", "if e.err != nil && t.absent == nil {"},
		},
	},
	{
		"ARCHITECTURE.md", "6",
		"a load begun before a change, heard of or missed, is neither kept nor joined after it",
		"./tenancy", "TestDirectory_pausedLoadNeverResurrects|TestDirectory_pausedLoadAcrossReconnection",
		[]change{
			{"tenancy/table.go", "strconv.FormatUint(gen, 36)", "\"\""},
			{"tenancy/table.go", "strconv.FormatUint(hearing.epoch, 36)", "\"\""},
			{"tenancy/table.go", "t.store(hash, e)", "e.gen = t.stripes[hash%stripes].gen.Load()\n\t\tt.store(hash, e)"},
			{"tenancy/table.go", "e.value, e.err = t.load(ctx, key)", "e.value, e.err = t.load(ctx, key)\n\t\te.epoch = t.dir.hearing.Load().epoch"},
		},
	},
	{
		"ARCHITECTURE.md", "7",
		"a reading that comes twice, late or out of order changes nothing, nobody makes one less, and a sealed hour does not change",
		"./metering", "TestUsage_onlyGrows|TestLateUsage|TestSealed_refuses|TestSealer_refuses|TestMeter_AnyInterleaving",
		[]change{
			{"metering/store.go", "greatest(r.egress_bytes, excluded.egress_bytes)", "r.egress_bytes + excluded.egress_bytes"},
			{"metering/adjust.go", "greatest(a.egress_bytes, excluded.egress_bytes)", "a.egress_bytes + excluded.egress_bytes"},
			{"internal/pg/migrations/0011_sealed_figures.sql", "CREATE TRIGGER never_less BEFORE DELETE OR TRUNCATE ON usage_readings FOR EACH STATEMENT EXECUTE FUNCTION keep_usage_growing();\n", ""},
			{"internal/pg/migrations/0011_sealed_figures.sql", "CREATE TRIGGER keep_sealed_update AFTER UPDATE ON usage_readings REFERENCING OLD TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION keep_sealed_usage();\n", ""},
			{"metering/sealer.go", "if err := s.cfg.Keys.Attested(sealLabel, this.KeyID, this.Hash[:], this.HMAC); err != nil {", "if err := error(nil); err != nil {"},
		},
	},
	{
		"ARCHITECTURE.md", "8",
		"bytes are those that the socket took or gave, without heads and framing, each once",
		"./proxy", "TestCounting|TestC14_clientGone|TestC14_uploaderGone",
		[]change{
			{"proxy/conn.go", "p = p[c.head.find(p):]", "c.head.find(p)"},
			{"proxy/conn.go", "c.pending.tally.Egress(n)", "c.pending.tally.Egress(c.sent)"},
			{"proxy/body.go", "b.src, b.length = &countingReader{r: &x.chunks, x: x}, x.length", "b.plain.tally = x\n\tb.src, b.length = &x.chunks, x.length"},
			{"proxy/body.go", "p.tally.Ingress(int64(n))", "p.tally.Ingress(int64(len(buf)))"},
		},
	},
	{
		"ARCHITECTURE.md", "10",
		"an upload id opens for the bucket and key that it was made for, or the backend is not asked",
		"./proxy", "TestIDs_D14_foreign|TestIDs_D14_paths",
		[]change{
			{"proxy/ids.go", "Bucket: x.bucket.ID, Key: key}", "Key: key}"},
			{"proxy/ids.go", "if !ok || !x.knownUploadID(text) {", "if !ok {"},
			{"proxy/opaque/opaque.go", "b = append(b, p.Key...)\n", ""},
			{"proxy/opaque/opaque.go", "return m(string(k), append(b, text...))[:macLen]", "return m(\"proxy id\", append(b, text...))[:macLen]"},
			{"proxy/ids.go", "len(key) > 0 && len(p.Value) > 0 {", "len(key) > 0 && len(p.Value) > maxKey {"},
		},
	},
	{
		"ARCHITECTURE.md", "10",
		"a continuation token opens for the bucket that it was made for, and a version id arrives only in the backend's own form, of the object and of a copy's source",
		"./proxy", "TestListing_E9_tokens|TestValues_D15_versions",
		[]change{
			{"proxy/ids.go", "x.srv.cfg.MAC.Open(opaque.ContinuationToken, x.place(nil), p.Value); !ok {", "x.srv.cfg.MAC.Open(opaque.ContinuationToken, x.place(nil), p.Value); !ok && len(p.Value) == 0 {"},
			{"proxy/ids.go", "Bucket: x.bucket.ID, Key: key}", "Key: key}"},
			{"proxy/opaque/opaque.go", "subtle.ConstantTimeCompare(raw[1:head], m.of(k, p, text)) != 1", "subtle.ConstantTimeCompare(raw[1:head], m.of(k, p, text)) > 1"},
			{"proxy/ids.go", "\t\t\tif len(p.Value) > 0 {\n\t\t\t\terr = x.checkVersion(p.Value)", "\t\t\tif len(p.Value) > maxKey {\n\t\t\t\terr = x.checkVersion(p.Value)"},
			{"proxy/ids.go", "if x.source.versionID != nil {", "if len(x.source.versionID) > maxKey {"},
		},
	},
	{
		"ARCHITECTURE.md", "11",
		"what a backend says before it was asked is nobody's answer, on a kept connection and on a new one",
		"./proxy/upstream", "TestDo_answerUnasked|TestDo_unaskedWhileBodyWaits|TestDo_unaskedOnNewConnection|TestDo_surplus",
		[]change{
			{"proxy/upstream/conn.go", "time.Since(c.since) < e.pool.cfg.IdleTimeout && c.clean()", "time.Since(c.since) < e.pool.cfg.IdleTimeout"},
			{"proxy/upstream/conn.go", "if err == nil && !c.clean() {", "if err == nil && c.r < c.w {"},
			{"proxy/upstream/conn.go", "if !e.closed && c.r == c.w &&", "if c.r, c.w = 0, 0; !e.closed &&"},
			{"proxy/upstream/do.go", "\tif !w.x.conn.clean() { // the body may have been long in coming\n\t\treturn errUnsolicited\n\t}\n", ""},
			{"proxy/upstream/unsolicited.go", "(!c.used || !c.source.midRecord())", "true"},
		},
	},
	{
		"ARCHITECTURE.md", "18",
		"an object is made only where a listing has it and hides no other, and who has an answer may send what contradicts it",
		"./proxy", "TestNames_everyOperation|TestNames_versions|TestNames_freed",
		[]change{
			{"proxy/look.go", "return l.askObject(name)", "return nil"},
			{"proxy/look.go", "status == 404 && len(a.resp.Header(\"x-amz-delete-marker\")) == 0", "status == 404"},
			{"proxy/look.go", "\tl.claims.Release()\n", ""},
			{"proxy/body.go", "\tif err := b.x.nameFree(); err != nil {\n\t\treturn b.fail(err)\n\t}\n", ""},
		},
	},
	{
		"ARCHITECTURE.md", "9",
		"nothing of a backend's words reaches a client but S3's own answers",
		"./proxy", "TestF1_backendsWords",
		[]change{
			{"proxy/answerheaders.go", "row := x.op.Tells(key)\n", "row := x.op.Tells(key)\n\t\tif row == nil {\n\t\t\th.AddBytesKV(key, value)\n\t\t}\n"},
			{"proxy/respond.go", "Message:   e.text(),", "Message:   e.Error(),"},
			{"proxy/backenderror.go", "\t}\n\treturn false\n}\n\n// errorStatuses", "\t}\n\treturn true\n}\n\n// errorStatuses"},
		},
	},
	{
		"ARCHITECTURE.md", "3",
		"an object is stored only when all of it has come and its signatures and digests were right",
		"./proxy", "TestRules_commit",
		[]change{
			{"sigv4/chunk.go", "if subtle.ConstantTimeCompare(w.sign(w.hex[:0], c.key, w.sts), c.current[:]) != 1 {", "if subtle.ConstantTimeCompare(w.sign(w.hex[:0], c.key, w.sts), c.current[:]) < 0 {"},
			{"sigv4/chunk.go", "func (c *ChunkReader) end() error {\n\tif err := c.verifyChunk(); err != nil {\n\t\treturn err\n\t}\n", "func (c *ChunkReader) end() error {\n"},
			{"sigv4/chunk.go", "if !bytes.Equal(encoded[:n], value) {", "if !bytes.Equal(encoded[:n], value) && value == nil {"},
		},
	},
	{
		"ARCHITECTURE.md", "5",
		"what a node remembers of a row it forgets when the row changes, whoever changed it",
		"./tenancy", "TestDirectory_hearsChanges",
		[]change{
			{"internal/pg/migrations/0013_least_rights.sql", "PERFORM public.tell_change('account:' || r.account_id);", "NULL;"},
			{"internal/pg/migrations/0013_least_rights.sql", "PERFORM public.tell_change('bucket:' || account_id || '/' || name) FROM", "PERFORM 1 FROM"},
			{"internal/pg/migrations/0013_least_rights.sql", "PERFORM public.tell_change('key:' || k.key_id) FROM", "PERFORM 1 FROM"},
			{"tenancy/listen.go", "\t\td.names.invalidate(key)\n", ""},
		},
	},
}
