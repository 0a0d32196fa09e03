package main

// invariants are those of ARCHITECTURE.md, by their numbers.
var invariants = []promise{
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
