package main

// invariants are those of ARCHITECTURE.md, by their numbers.
var invariants = []promise{
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
	{
		"ARCHITECTURE.md", "12",
		"what a backend says about the gateway's credential, signature, clock or form is the operator's: 503, counted and said, with nothing of it for the client",
		"./proxy", "TestF4_complaints|TestF4_complaintsLate|TestF4_theirs",
		[]change{
			{"proxy/backenderror.go", "\tif x.blames(e.Code) {\n\t\treturn x.blamed(cause)\n\t}\n", ""},
			{"proxy/backenderror.go", "\tif x.blames(said) {\n\t\treturn x.blamed(cause)\n\t}\n", ""},
			{"proxy/backenderror.go", "if x.minio() || x.bucket == nil || !x.bucket.ObjectLock {", "if x.bucket == nil || !x.bucket.ObjectLock {"},
		},
	},
	{
		"ARCHITECTURE.md", "12",
		"no status passes as a success that is none of the operation's, and of somebody's page nothing is believed",
		"./proxy", "TestF4_complaints|TestNotFound_pages|TestDeleteObjects_unsaid",
		[]change{
			{"proxy/backenderror.go", "\tcase 200:\n\t\treturn true\n", "\tcase 200, 202:\n\t\treturn true\n"},
			{"proxy/backenderror.go", "if status == 404 && x.out.method != \"HEAD\" && !x.blames(said) {", "if status == 404 && x.out.method == \"GET\" && !x.blames(said) {"},
			{"proxy/batchdelete.go", "if !quiet && !told[o.Key] {", "if !quiet && !told[o.Key] && o.Versioned && o.VersionID == \"\" {"},
		},
	},
	{
		"ARCHITECTURE.md", "12",
		"of an answer's headers those pass that S3 has with the operation, once, and where one says which bytes these are there is no answer without it",
		"./proxy", "TestAnswers_documentsHeaders|TestAnswers_unfitHeaders",
		[]change{
			{"proxy/s3op/told.go", "h != nil && h.With&o.Told != 0 {", "h != nil {"},
			{"proxy/answerheaders.go", "case fit && (bytes.Equal(said, value) || !row.Vital):", "case fit:"},
			{"proxy/rewrite.go", "\t\tif x.resp.UntilEnd() {\n\t\t\treturn errNoLength\n\t\t}\n", ""},
		},
	},
	{
		"ARCHITECTURE.md", "12",
		"of an answer's elements those pass that S3 has with the operation, without attributes, comments or text between them",
		"./proxy/s3xml", "TestRewrite_leftOut|TestAnswers_sdk",
		[]change{
			{"proxy/s3xml/known.go", "contents       = in(\"Contents\", ", "contents       = in(\"Contents\", \"UserTags\", "},
			{"proxy/s3xml/rewrite.go", "\tif !w.mark.selfClosing() {\n\t\tw.lost.push(name)\n\t}\n\treturn nil\n}\n\n// root", "\tif w.out = append(w.out, w.mark.b...); !w.mark.selfClosing() {\n\t\tw.lost.push(name)\n\t}\n\treturn nil\n}\n\n// root"},
			{"proxy/s3xml/rewrite.go", "\t\t\tif isWhite(c) {\n\t\t\t\tw.out = append(w.out, c)\n\t\t\t}\n", "\t\t\tw.out = append(w.out, c)\n"},
			{"proxy/s3xml/rewrite.go", "\t\t\treturn w.begin(\"\")", "\t\t\treturn w.begin(string(w.mark.b[1+len(name) : len(w.mark.b)-1]))"},
			{"proxy/s3xml/rewrite.go", "w.out = append(w.out, declaration...)", "w.out = append(w.out, w.mark.b...)"},
		},
	},
	{
		"ARCHITECTURE.md", "12",
		"the backend's work ends within a moment when its client leaves, wherever it is waited for",
		"./proxy", "TestClientLeft_waiting",
		[]change{
			{"proxy/forward.go", "\t\tClient:     x.conn,\n", ""},
			{"proxy/upstream/conn.go", "errors.Join(c.lookAtClient(), c.arm(now))", "c.arm(now)"},
			{"proxy/socket/socket.go", "Events: unix.POLLRDHUP}", "Events: unix.POLLHUP}"},
		},
	},
	{
		"ARCHITECTURE.md", "13",
		"what goes back into a pool is overwritten whole, its emptied buffers aside: every field that there is, also one that is added",
		"./proxy", "TestExchange_releasedIsFresh",
		[]change{
			{"proxy/exchange.go", "\tx.request = request{objectSize: -1}\n", "\tx.identity, x.account, x.bucket, x.key = nil, nil, nil, nil\n"},
			{"proxy/exchange.go", "\tlocal    []byte // an answer made here\n", "\tlocal    []byte // an answer made here\n\tlast     int64\n"},
			{"proxy/exchange.go", "\tb.resp.Clear()\n", ""},
			{"sigv4/chunk.go", "\tkept := ChunkReader{buf: c.buf, chunkHash", "\tkept := ChunkReader{wire: c.wire, buf: c.buf, chunkHash"},
		},
	},
	{
		"ARCHITECTURE.md", "14",
		"a flood of names that nobody vouches for, of whatever sort, holds its part of the connections and no more, and nobody else waits with it",
		"./tenancy", "TestDirectory_floodsAreBounded|TestDirectory_floodsTogether",
		[]change{
			{"tenancy/lane.go", "max(1, slots/2))", "max(1, slots))"},
			{"tenancy/lane.go", "if s.waiting.Add(1) > t.lane.queue+int64(cap(s.slots)) {", "if s.waiting.Add(1) > t.lane.queue*int64(len(t.lane.shares))+int64(cap(s.slots)) {"},
			{"tenancy/table.go", "\tif old == nil { // else it was there a while ago: nobody has made the name up\n\t\tlane = t.turn(key, by)\n\t} else if old.gen != gen {", "\tlane = t.turn(key, by)\n\tif old != nil && old.gen != gen {"},
			{"tenancy/directory.go", "return turn{d.strangers, shareKeys}", "return turn{}"},
			{"tenancy/directory.go", "return turn{d.strangers, shareBuckets}", "return turn{d.strangers, shareNames}"},
		},
	},
	{
		"ARCHITECTURE.md", "15",
		"a header is one wherever it stands and however it is spelled: every reader sees it, and it is refused where it stands twice",
		"./proxy", "TestHoisted_everyReader|TestHeaders_once",
		[]change{
			{"proxy/parse.go", "case has(x.headers[:lines], name):", "case has(x.headers[:lines], p.Name):"},
			{"proxy/parse.go", "\tif err := x.hoist(); err != nil {\n\t\treturn err\n\t}\n", ""},
			{"proxy/parse.go", "if once(name) && has(x.headers[:i], name) {", "if once(name) && has(x.headers[:i], name) && !bytes.HasPrefix(name, []byte(\"x-amz-checksum-\")) {"},
		},
	},
	{
		"ARCHITECTURE.md", "15",
		"what a head costs before its signature is verified is bounded: 128 parameters and 256 lines, and no more of either",
		"./proxy", "TestBeforeVerify_bounds",
		[]change{
			{"proxy/parse.go", "\t\tif len(x.headers) == sigv4.MaxHeaders {\n\t\t\treturn errManyHeaders\n\t\t}\n", ""},
			{"sigv4/request.go", "if len(t.Query) == MaxParams {", "if len(t.Query) > MaxParams {"},
			{"proxy/parse.go", "errManyHeaders = &s3Error{code: \"RequestHeaderSectionTooLarge\",", "errManyHeaders = &s3Error{code: \"BadRequest\","},
		},
	},
	{
		"ARCHITECTURE.md", "16",
		"memory for documents and forms is taken before it is buffered, and one holder has his part of it at most",
		"./proxy", "TestBudget|TestWholeDoc|TestForm_pieces",
		[]change{
			{"proxy/budget.go", "b.by[by]+n > b.each || ", ""},
			{"proxy/wholedoc.go", "\tif err := d.share.grow(d.srv.documents, d.by, int64(size-counted)); err != nil {\n\t\treturn err\n\t}\n\tlarger", "\tdefer d.share.grow(d.srv.documents, d.by, int64(size-counted))\n\tlarger"},
			{"proxy/formbody.go", "return f.x.held.stranger.grow(f.x.srv.strangers, addressHolder(f.x.remote), int64(n))", "return nil"},
		},
	},
	{
		"ARCHITECTURE.md", "17",
		"requests that nobody proved have half of an account's rates and of its requests at once, and none of it for longer than they are",
		"./limits", "TestRate_strangers",
		[]change{
			{"limits/grant.go", "if wait := h.strangers.requests.take(now, strangersPart*cost, max(burst, strangersPart*cost)); wait > 0 {", "if wait := h.strangers.requests.take(now, cost, max(burst, cost)); wait > 0 {"},
			{"limits/grant.go", "\t\tover = h.strangers.active.Add(1) > (most+strangersPart-1)/strangersPart || over\n", "\t\th.strangers.active.Add(1)\n"},
			{"limits/grant.go", "\t\t\t\th.strangers.active.Add(-1)\n", ""},
		},
	},
	{
		"ARCHITECTURE.md", "17",
		"strangers' lines of the access log are held to rates of bucket, address and node, and the sums have every request that is left out",
		"./metering/accesslog", "TestLog_flood",
		[]change{
			{"metering/accesslog/rate.go", "\tcase !s.bucket.open(now):\n\t\treturn byBucket\n", ""},
			{"metering/accesslog/rate.go", "\tcase !r.all.open(now):\n\t\treturn byNode\n", ""},
			{"metering/accesslog/rate.go", "\tcase !s.address.open(now):\n\t\treturn byAddress\n", ""},
			{"metering/accesslog/log.go", "\ts.sums.add(r, reason != \"\")\n", "\tif reason == \"\" {\n\t\ts.sums.add(r, false)\n\t}\n"},
			{"metering/accesslog/log.go", "\tl.rates.take(share, now, after-before)\n", ""},
		},
	},
	{
		"ARCHITECTURE.md", "17",
		"a message of the operator's log has a rate, of which what is left out is counted, and no text in it is long or acts on a terminal",
		"./internal/oplog", "TestHandler_rate|TestHandler_texts",
		[]change{
			{"internal/oplog/oplog.go", "if m == nil && len(l.of) >= maxMessages {", "if m == nil && len(l.of) >= maxMessages && name == \"\" {"},
			{"internal/oplog/oplog.go", "\treturn &handler{h.to.WithGroup(name), h.lines}\n", "\treturn h.to.WithGroup(name)\n"},
			{"internal/oplog/oplog.go", "bounded[i] = attr(a)", "bounded[i] = a"},
			{"internal/oplog/oplog.go", "leftOut, m.leftOut = m.leftOut, 0", "leftOut = m.leftOut"},
			{"internal/oplog/text.go", "return unicode.IsPrint(r) || ", "return r >= ' ' || "},
		},
	},
	{
		"ARCHITECTURE.md", "20",
		"nobody but a gateway hears what changes, on whatever channel he knows of, and what others tell makes no node ask again",
		"./tenancy", "TestChanges_heard|TestChanges_planned|TestChanges_forged|TestChanges_renewed",
		[]change{
			{"internal/pg/migrations/0013_least_rights.sql", "IF EXISTS (SELECT FROM public.usage_nodes WHERE closed_at IS NULL AND NOT hears_changes AND reported_at > now() - interval '1 hour') THEN", "IF what IS NOT NULL THEN"},
			{"internal/pg/migrations/0013_least_rights.sql", "PERFORM pg_notify(channel, what) FROM public.change_channel;", "EXECUTE format('SELECT pg_notify(%L, $1)', (SELECT channel FROM public.change_channel)) USING what;"},
			{"internal/pg/migrations/0013_least_rights.sql", "\tUPDATE public.change_channel SET channel = DEFAULT;\n", ""},
			{"tenancy/listen.go", "`SELECT hear_changes(); LISTEN `+beat", "`LISTEN primecloud; SELECT hear_changes(); LISTEN `+beat"},
		},
	},
	{
		"ARCHITECTURE.md", "20",
		"no role has a right that its table does not name, nor gets one by what a migration to come makes",
		"./internal/pg", "TestRights_kinds",
		[]change{
			{"internal/pg/migrations/0013_least_rights.sql", "GRANT EXECUTE ON FUNCTION hear_changes() TO primecloud_gateway;", "GRANT EXECUTE ON FUNCTION hear_changes() TO PUBLIC;"},
			{"internal/pg/migrations/0013_least_rights.sql", "ALTER DEFAULT PRIVILEGES FOR ROLE primecloud_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;\n", ""},
			{"internal/pg/migrations/0013_least_rights.sql", "REVOKE DELETE ON domains FROM primecloud_portal;\n", ""},
			{"internal/pg/migrations/0013_least_rights.sql", "ALTER FUNCTION tell_change(text) OWNER TO primecloud_owner;\n", ""},
		},
	},
	{
		"ARCHITECTURE.md", "21",
		"a row, a backend or a bucket that cannot be worked with is named by a command, which does the rest",
		"./cmd/primecloud", "TestBadRows",
		[]change{
			{"cmd/primecloud/sync.go", "\t\t\terrs = append(errs, fmt.Errorf(\"backend %s: %w\", b.Name, err))\n", "\t\t\treturn fmt.Errorf(\"backend %s: %w\", b.Name, err)\n"},
			{"cmd/primecloud/doctor.go", "\t\t\tfound = append(found, finding{check, \"failure\", err.Error()})\n\t\t\tcontinue\n", "\t\t\treturn append(found, finding{check, \"failure\", err.Error()})\n"},
			{"cmd/primecloud/operator.go", "case err != nil && !errors.As(err, &skipped):", "case err != nil:"},
		},
	},
	{
		"ARCHITECTURE.md", "21",
		"a bucket that cannot be measured has a gap of its own in its hour, and the others are measured",
		"./metering", "TestInventory_SampleDue",
		[]change{
			{"metering/inventory.go", "\t\t\t\treturn ctx.Err()\n\t\t\t})\n", "\t\t\t\treturn err\n\t\t\t})\n"},
			{"metering/inventory.go", "return nil, errors.Join(err, writeGap(after, v.cfg.Pool, b, v.cfg.Now(), err))", "return nil, err"},
			{"metering/inventory.go", "\tdefault:\n\t\tr.Failed++\n", "\tdefault:\n\t\tr.Skipped++\n"},
		},
	},
	{
		"ARCHITECTURE.md", "21",
		"a file of the access log that cannot be read, a target that is gone or a backend that refuses keeps no other line from being delivered",
		"./metering/accesslog", "TestDelivery_badFile|TestDelivery_withheld|TestDelivery_backendAway",
		[]change{
			{"metering/accesslog/delivery.go", "\t\t\terrs = append(errs, fmt.Errorf(\"%s: %w\", filepath.Base(file), err))\n", "\t\t\treturn fmt.Errorf(\"%s: %w\", filepath.Base(file), err)\n"},
			{"metering/accesslog/delivery.go", "\t\tif !slices.Contains(s.Buckets, parcel.to.ID) {\n\t\t\ts.Buckets = append(s.Buckets, parcel.to.ID)\n\t\t}\n", "\t\treturn err\n"},
			{"metering/accesslog/delivery.go", "\t\treturn size, err\n\t}\n\tif p.over(size) {", "\t\tp = &progress{}\n\t}\n\tif p.over(size) {"},
		},
	},
	{
		"ARCHITECTURE.md", "21",
		"work that fails, panics or does not come to its end is told and done again, and keeps no other from being done",
		"./internal/jobs", "TestPeriodic_failuresAreRepeated|TestPeriodic_stuck",
		[]change{
			{"internal/jobs/jobs.go", "{MaxWorkers: 4}", "{MaxWorkers: 1}"},
			{"internal/jobs/jobs.go", "\tok = err == nil\n", "\tok = true\n"},
			{"internal/jobs/jobs.go", "started, ok := time.Now(), false", "started, ok := time.Now(), true"},
		},
	},
}
