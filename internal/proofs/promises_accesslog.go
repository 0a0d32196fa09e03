package main

// accessLog are the promises of docs/ACCESS-LOG.md.
var accessLog = []promise{
	{
		"ACCESS-LOG.md", "Access log",
		"each request has one line, also one that was refused or is no HTTP; where no folder is named there is no log, and no delivery can be asked for",
		"./proxy", "TestAccessLog_ledger|TestAccessLog_none",
		[]change{
			{"proxy/settle.go", "\tx.logLine(elapsed)\n", "\tif x.op != nil {\n\t\tx.logLine(elapsed)\n\t}\n"},
			{"proxy/bucketlogging.go", "\t\tif x.srv.cfg.AccessLog == nil {\n", "\t\tif x.account == nil {\n"},
			{"proxy/accesslog.go", "\tif log == nil {\n\t\treturn\n\t}\n", ""},
		},
	},
	{
		"ACCESS-LOG.md", "Access log",
		"a node writes into the folder that it is given, delivers when it ends in order, and the next one on the folder goes on",
		"./cmd/primecloud", "TestServe_accessLog",
		[]change{
			{"internal/node/gateway.go", "if err := delivery.Deliver(ctx); err != nil {", "if err := ctx.Err(); err != nil {"},
			{"internal/node/gateway.go", "Dir: cfg.AccessLog.Dir, Node: cfg.Node,", "Dir: cfg.AccessLog.Dir,"},
			{"internal/node/gateway.go", "if gateway.AccessLog, err = n.startAccessLog", "if _, err = n.startAccessLog"},
		},
	},
	{
		"ACCESS-LOG.md", "Lines",
		"a line says what was asked, what came of it and when, what was addressed and who it was proven to be",
		"./proxy", "TestAccessLog_fields",
		[]change{
			{"proxy/accesslog.go", "\t\tr.OwnerID = x.identity.AccountID\n", "\t\tr.Owner = x.identity.KeyID\n"},
			{"proxy/accesslog.go", "if x.op.Told != s3op.TellsObject {", "if x.op.Response != s3op.Bytes {"},
			{"proxy/accesslog.go", "case x.anonymous() && sent:", "case x.anonymous() && sent && x.op != nil:"},
		},
	},
	{
		"ACCESS-LOG.md", "Lines",
		"a line is written when the answer is over: it says why that broke off, has what the socket took, and a part for each row of the ledger",
		"./proxy", "TestAccessLog_brokenOff|TestAccessLog_abortedDownload",
		[]change{
			{"proxy/stream.go", "\t\tx.code = \"InternalError\" //", "\t\tx.code = \"\" //"},
			{"proxy/recheck.go", "x.status, x.code, x.cause = 499, \"ClientDisconnected\", err", "x.code, x.cause = \"ClientDisconnected\", err"},
			{"proxy/accesslog.go", "r.SetCounted(x.tally.Key(), x.tally.Counted())", "r.SetCounted(x.tally.Key(), x.tally.Counted()[:1])"},
		},
	},
	{
		"ACCESS-LOG.md", "Lines",
		"nothing that a request could be repeated with is in a line, wherever in target or referer it stands, and however it is written",
		"./proxy", "TestAccessLog_A17_secrets",
		[]change{
			{"proxy/accesslog.go", "\t\t\tc = high<<4 | low\n", ""},
			{"proxy/accesslog.go", "\t\t\tr.Referer = x.keepPublic(value)\n", "\t\t\tr.Referer = x.keep(value)\n"},
			{"proxy/accesslog.go", "bytes.ContainsAny(pair, \";#? \") || secretParam(pair)", "secretParam(pair)"},
			{"proxy/accesslog.go", "\tpath, _, _ = bytes.Cut(path, []byte{'#'})\n\tif i := bytes.Index(path, []byte(\"//\")); i >= 0 {", "\tif i := bytes.Index(path, []byte(\"///\")); i >= 0 {"},
		},
	},
	{
		"ACCESS-LOG.md", "Strangers",
		"what has no good signature has its line in a file of strangers, and lines of proven requests and sums of the others, added up, are the rows of the ledger",
		"./proxy", "TestAccessLog_ledger",
		[]change{
			{"metering/accesslog/sum.go", "AccessKeyID: r.AccessKeyID, Delta: *c}", "Delta: *c}"},
			{"metering/accesslog/reader.go", "Summed: name.kind == ofUnproven}", "Summed: name.kind == ofSums}"},
			{"metering/accesslog/record.go", "return r.Requester == \"\" }", "return r.Auth == \"anonymous\" }"},
		},
	},
	{
		"ACCESS-LOG.md", "Delivery",
		"PutBucketLogging takes a bucket of the same account within the key's buckets, in every form, and GetBucketLogging tells it; every other target is one that does not exist",
		"./proxy", "TestBucketLogging_roundTrip|TestBucketLogging_refused",
		[]change{
			{"proxy/bucketlogging.go", "\tif err := x.mayTouch(target, nil); err != nil {\n\t\treturn err\n\t}\n", ""},
			{"proxy/bucketlogging.go", "\t\treturn errLogTarget\n\t}\n\tif err != nil {", "\t\treturn err\n\t}\n\tif err != nil {"},
			{"proxy/bucketlogging.go", "Prefix: wanted.TargetPrefix, Format: keyFormats[wanted.Format]}", "Prefix: wanted.TargetPrefix}"},
			{"proxy/bucketlogging.go", "\tvar logging *tenancy.BucketLogging\n\tif wanted != nil {", "\tlogging := x.bucket.Logging\n\tif wanted != nil {"},
		},
	},
	{
		"ACCESS-LOG.md", "Delivery",
		"a delivery is no request: it is billed to nobody and makes no lines; what it delivers is what was asked of the account's names, by whomever",
		"./proxy", "TestBucketLogging_delivered",
		[]change{
			{"metering/accesslog/target.go", "\t\td.log.metrics.delivered.Add(float64(p.lines))\n", "\t\td.log.metrics.delivered.Add(float64(p.lines))\n\t\td.log.Add(&Record{Time: s.At, Status: http.StatusOK, Requester: \"delivery\", AccountID: p.to.AccountID})\n"},
			{"proxy/accesslog.go", "\tif x.account != nil {\n\t\tr.OwnerID", "\tif x.authenticated {\n\t\tr.OwnerID"},
			{"metering/accesslog/s3line.go", "dst = append(append(dst, \"arn:aws:iam::\"...), b.Account...)", "dst = append(append(dst, \"arn:aws:iam::\"...), r.Requester...)"},
		},
	},
	{
		"ACCESS-LOG.md", "Delivery",
		"a default retention and logging into the bucket refuse each other, and where both are, nothing is delivered",
		"./proxy", "TestBucketLogging_retention",
		[]change{
			{"proxy/bucketlogging.go", "\tif kept {\n", "\tif kept && to.Logging != nil {\n"},
			{"proxy/bucketlogging.go", "\tif err == nil && target {", "\tif err == nil && target && x.bucket.Logging != nil {"},
			{"metering/accesslog/target.go", "\treturn mode != nil, err\n", "\treturn mode != nil && *mode == minio.Governance, err\n"},
		},
	},
	{
		"ACCESS-LOG.md", "Lines",
		"every text of a line has its bound in the bytes that are written, is cut after a whole character and a whole percent-escape, and says so",
		"./metering/accesslog", "TestRecord_bounds|TestRecord_keysAreWhole",
		[]change{
			{"metering/accesslog/bound.go", "read, left := 0, most-len(cutMark)", "read, left := 0, most"},
			{"metering/accesslog/bound.go", "if len(dst)-begin <= most {", "if len(s) <= most {"},
			{"metering/accesslog/bound.go", "if s[read-i] == '%' {", "if s[read-i] == '%' && i == 1 {"},
		},
	},
	{
		"ACCESS-LOG.md", "Lines",
		"a line has every cell of the ledger that its request was counted in, and in all what was added to them",
		"./metering/accesslog", "TestRecord_Cells|TestLog_sumParts",
		[]change{
			{"metering/accesslog/record.go", "\t\tr.Add(&counted[i])\n", ""},
			{"metering/accesslog/record.go", "if len(counted) > 1 {", "if len(counted) > 2 {"},
			{"metering/accesslog/sum.go", "s.count(r, &parts[i], i == len(parts)-1, leftOut)", "s.count(r, &parts[i], true, leftOut)"},
		},
	},
	{
		"ACCESS-LOG.md", "Strangers",
		"strangers' lines have the rate of a bucket, of an address (an IPv6 /64) and of the node, saved up for eight seconds; what is left out is counted by its reason, and the sums have every request",
		"./metering/accesslog", "TestLog_flood",
		[]change{
			{"metering/accesslog/rate.go", "if rec.OwnerID != (Record{}).OwnerID {", "if true {"},
			{"internal/subscriber/subscriber.go", "a.Prefix(64)", "a.Prefix(128)"},
			{"metering/accesslog/rate.go", "const saved = 8 * time.Second", "const saved = 80 * time.Second"},
			{"metering/accesslog/rate.go", "\tr.all.take(now, bytes, r.node)\n", ""},
			{"metering/accesslog/log.go", "s.sums.add(r, reason != \"\")", "if reason == \"\" {\n\t\ts.sums.add(r, false)\n\t}"},
		},
	},
	{
		"ACCESS-LOG.md", "Strangers",
		"strangers' lines wait in buffers of their own, a quarter of what proven requests have, and what finds them full is in the sums",
		"./metering/accesslog", "TestLog_unprovenBuffer",
		[]change{
			{"metering/accesslog/log.go", "l.stream(ofUnproven, cfg.Buffer/4,", "l.stream(ofUnproven, 4*cfg.Buffer,"},
			{"metering/accesslog/log.go", "\t\treason = byBuffer\n", "\t\ts.mu.Unlock()\n\t\treturn\n"},
			{"metering/accesslog/log.go", "\ts := l.unproven.shard(r)\n\ts.mu.Lock()\n\tbefore := len(s.buf)\n", "\ts := l.proven.shard(r)\n\ts.mu.Lock()\n\tbefore := len(s.buf)\n"},
		},
	},
	{
		"ACCESS-LOG.md", "Strangers",
		"beyond 512 cells in five seconds the rest of the sums is one line without a name, and nothing is missing in all",
		"./metering/accesslog", "TestLog_manyCells",
		[]change{
			{"metering/accesslog/sum.go", "const maxCells = 512", "const maxCells = 5120"},
			{"metering/accesslog/sum.go", "\tall.beyond.Lines += s.beyond.Lines\n", ""},
			{"metering/accesslog/sum.go", "if s.beyond != (Dropped{}) {", "if s.beyond != (Dropped{}) && len(s.cells) < maxCells {"},
		},
	},
	{
		"ACCESS-LOG.md", "Strangers",
		"strangers' files and sums have bounds of their own, beyond which the oldest of them go, delivered or not, and no other",
		"./metering/accesslog", "TestLog_unprovenFiles|TestLog_boundsApart",
		[]change{
			{"metering/accesslog/sweep.go", "const sumsSize = 256 << 20", "const sumsSize = 1 << 30"},
			{"metering/accesslog/sweep.go", "{kind: ofUnproven, keep: l.cfg.UnprovenSize, most: l.cfg.UnprovenSize, delivered: true}", "{kind: ofUnproven, keep: l.cfg.UnprovenSize, most: l.cfg.MaxSize, delivered: true}"},
			{"metering/accesslog/sweep.go", "\t\tlost, level = l.metrics.lostUnproven, slog.LevelWarn\n", "\t\tlevel = slog.LevelWarn\n"},
		},
	},
	{
		"ACCESS-LOG.md", "Files",
		"a file's name says kind, hour, epoch, number and node; each hour and each size begins one, and one process has the folder",
		"./metering/accesslog", "TestLog_rotation|TestLog_clockBack|TestLog_locked",
		[]change{
			{"metering/accesslog/stream.go", "hour.After(s.name.hour) || s.size > 0", "s.size > 0"},
			{"metering/accesslog/stream.go", "\tif hour.After(next.hour) {\n\t\tnext.hour = hour\n\t}\n", "\tnext.hour = hour\n"},
			{"metering/accesslog/log.go", "lock, err := disk.MakeAndLock(cfg.Dir)\n\tif err != nil {", "lock, err := disk.MakeAndLock(cfg.Dir)\n\tif err != nil && !errors.Is(err, disk.ErrLocked) {"},
		},
	},
	{
		"ACCESS-LOG.md", "Files",
		"a file that has ended is on the disk: a machine that is lost then has all of it",
		"./metering/accesslog", "TestLog_synced",
		[]change{
			{"metering/accesslog/stream.go", "errors.Join(s.file.Sync(), s.file.Close())", "errors.Join(s.file.Close())"},
			{"metering/accesslog/stream.go", "\t\ts.end()\n\t}\n\tif len(s.pending) == 0 {", "\t\t_ = s.file.Close()\n\t\ts.file = nil\n\t}\n\tif len(s.pending) == 0 {"},
			{"metering/accesslog/log.go", "\t\t\ts.end()\n", "\t\t\t_ = s.file.Close()\n"},
		},
	},
	{
		"ACCESS-LOG.md", "Files",
		"files go by age and by size, the oldest first, but not before they are delivered; at the bound the oldest go in any case, and that is logged and counted",
		"./metering/accesslog", "TestLog_Sweep|TestDelivery_backendAway",
		[]change{
			{"metering/accesslog/sweep.go", "now.Sub(name.hour) <= l.cfg.KeepAge && total <= b.keep", "now.Sub(name.hour) <= 2*l.cfg.KeepAge && total <= b.keep"},
			{"metering/accesslog/sweep.go", "l.undelivered != nil && l.undelivered(file) {", "l.undelivered != nil && false {"},
			{"metering/accesslog/sweep.go", "\t\t\tif total <= b.most {\n\t\t\t\tcontinue\n\t\t\t}\n", "\t\t\tif total <= b.most || true {\n\t\t\t\tcontinue\n\t\t\t}\n"},
			{"metering/accesslog/sweep.go", "\tlost.Inc()\n", "\tif b.kind == ofUnproven {\n\t\tlost.Inc()\n\t}\n"},
		},
	},
	{
		"ACCESS-LOG.md", "Files",
		"a killed process loses the lines of 250 ms at most, and what was left out of strangers' lines in 5 s",
		"./metering/accesslog", "TestLog_intervals",
		[]change{
			{"metering/accesslog/log.go", "cmp.Or(cfg.FlushInterval, 250*time.Millisecond)", "cmp.Or(cfg.FlushInterval, time.Second)"},
			{"metering/accesslog/sum.go", "const sumInterval = 5 * time.Second", "const sumInterval = 10 * time.Second"},
			{"metering/accesslog/log.go", "err := errors.Join(l.proven.flush(l.takeProven), l.unproven.flush(l.takeUnproven), l.sums.flush(takeSums))", "err := errors.Join(l.proven.flush(l.takeProven), l.unproven.flush(l.takeUnproven))\n\tif all {\n\t\terr = errors.Join(err, l.sums.flush(takeSums))\n\t}"},
		},
	},
	{
		"ACCESS-LOG.md", "Files",
		"a full disk costs lines beyond the bound of what waits in memory; a line says how many those are and what the ledger has of them, and no line is torn",
		"./metering/accesslog", "TestLog_diskFull|TestLog_dropped",
		[]change{
			{"metering/accesslog/log.go", "\tl.proven.pending = appendMarker(l.proven.pending, &dropped)\n", ""},
			{"metering/accesslog/log.go", "\t\tdropped.Egress += s.dropped.Egress\n", ""},
			{"metering/accesslog/stream.go", "s.pending = s.pending[:copy(s.pending, s.pending[n:])]", "s.pending = s.pending[:0]"},
		},
	},
	{
		"ACCESS-LOG.md", "Files",
		"a request never waits for the log, and of what the log cannot write it holds no more than the bound",
		"./metering/accesslog", "TestLog_stuckDisk|TestLog_Add_allocatesNothing",
		[]change{
			{"metering/accesslog/log.go", "room: buffer / shards", "room: buffer"},
			{"metering/accesslog/log.go", "\tif before < l.proven.room {\n", "\tif before < 1<<30 {\n"},
			{"metering/accesslog/log.go", "\tl.rates.take(share, now, after-before)\n", "\tl.rates.take(share, now, len(r.AppendLine(nil)))\n"},
		},
	},
	{
		"ACCESS-LOG.md", "Files",
		"a torn or damaged line costs that line: readers report it and go on, in the order of hours",
		"./metering/accesslog", "TestRead",
		[]change{
			{"metering/accesslog/reader.go", "if !yield(e, err) || err != nil && !errors.As(err, &damage) {", "if !yield(e, err) || errors.As(err, &damage) {"},
			{"metering/accesslog/reader.go", "\t\t\t\tdamage = ErrTorn\n", "\t\t\t\tdamage = e.decode(line)\n"},
			{"metering/accesslog/reader.go", "\tif e.Record.Status == 0 || e.Record.Time.IsZero() {\n\t\treturn errNoRecord\n\t}\n", ""},
		},
	},
	{
		"ACCESS-LOG.md", "Delivery",
		"a node delivers each interval and when a file ends",
		"./metering/accesslog", "TestDelivery_Run",
		[]change{
			{"metering/accesslog/stream.go", "\tnotify(s.log.ended)\n", ""},
			{"metering/accesslog/delivery.go", "\t\tcase <-tick.C:\n", ""},
			{"metering/accesslog/delivery.go", "\t\tcase <-d.log.ended:\n", ""},
		},
	},
	{
		"ACCESS-LOG.md", "Delivery",
		"who has logging on gets the lines about that bucket since then, also of refused requests and of strangers on its account's host, in S3's form and under S3's names; nobody gets another's",
		"./metering/accesslog", "TestDelivery",
		[]change{
			{"metering/accesslog/delivery.go", "if b == nil || rec.Time.Before(b.Since) {", "if b == nil {"},
			{"metering/accesslog/delivery.go", "b = r.byName[name{rec.OwnerID, string(rec.Bucket)}]", "for _, each := range r.byID {\n\t\t\tif each.Name == string(rec.Bucket) {\n\t\t\t\tb = each\n\t\t\t}\n\t\t}"},
			{"metering/accesslog/s3line.go", "\tif l.Format == tenancy.ByEventTime {\n\t\tat = day\n\t}\n", ""},
			{"metering/accesslog/s3line.go", "if c < ' ' || c >= 0x7f || c == '\"' || bare", "if c < ' ' || c >= 0x7f || bare"},
		},
	},
	{
		"ACCESS-LOG.md", "Delivery",
		"lines of proven requests are delivered first, in objects of their own",
		"./metering/accesslog", "TestDelivery_provenFirst",
		[]change{
			{"metering/accesslog/delivery.go", "strings.Compare(kindOf(a), kindOf(b))", "strings.Compare(kindOf(b), kindOf(a))"},
			{"metering/accesslog/log.go", "\tif r.Unproven() {\n", "\tif r.Unproven() && r.OwnerID == (Record{}).OwnerID {\n"},
			{"metering/accesslog/delivery.go", "{ return kindOf(f) == ofSums })", "{ return kindOf(f) != ofProven })"},
		},
	},
	{
		"ACCESS-LOG.md", "Delivery",
		"what a span has and what its objects are called is on the disk before the first is sent: killed or unheard, the delivery sends the same objects again, and each line is in one object, once",
		"./metering/accesslog", "TestDelivery_kill|TestDelivery_answerLost",
		[]change{
			{"metering/accesslog/delivery.go", "\t\tif err := p.save(file); err != nil {\n\t\t\treturn size, err\n\t\t}\n\t\tif len(objects) > 0 {", "\t\tif len(objects) > 0 {"},
			{"metering/accesslog/target.go", "key := objectKey(p.to, d.cfg.Region, s.At, p.day, unique)", "key := objectKey(p.to, d.cfg.Region, d.log.cfg.Now(), p.day, unique)"},
			{"metering/accesslog/target.go", "fmt.Sprintf(\"%s %d %d %s %s\", filepath.Base(file), s.Start, s.End, p.to.ID,", "fmt.Sprintf(\"%s %s %s\", filepath.Base(file), p.to.ID,"},
		},
	},
	{
		"ACCESS-LOG.md", "Delivery",
		"a backend that refuses is tried again after a minute, then twice as long up to an hour, and holds up no other lines",
		"./metering/accesslog", "TestDelivery_refused|TestDelivery_backendAway",
		[]change{
			{"metering/accesslog/delivery.go", "min(d.cfg.Retry<<min(s.Tries, 10), time.Hour)", "d.cfg.Retry<<min(s.Tries, 10)"},
			{"metering/accesslog/delivery.go", "\t\tif d.log.cfg.Now().Before(s.Next) {\n\t\t\tcontinue\n\t\t}\n", ""},
			{"metering/accesslog/delivery.go", "\t\tif ctx.Err() != nil {\n\t\t\treturn ctx.Err() // as if killed\n\t\t}\n", "\t\tif err != nil {\n\t\t\treturn err\n\t\t}\n"},
			{"metering/accesslog/delivery.go", "\t\tif len(s.Buckets) > 0 {\n\t\t\tobjects =", "\t\tif len(s.Buckets) > 1 {\n\t\t\tobjects ="},
		},
	},
	{
		"ACCESS-LOG.md", "Delivery",
		"a file that cannot be read keeps no other from being delivered",
		"./metering/accesslog", "TestDelivery_badFile",
		[]change{
			{"metering/accesslog/delivery.go", "\t\t\terrs = append(errs, fmt.Errorf(", "\t\t\treturn errors.Join(err, fmt.Errorf("},
			{"metering/accesslog/delivery.go", "\treturn errors.Join(errs...)\n", "\treturn nil\n"},
			{"metering/accesslog/delivery.go", "\t\t// Beginning anew would send what is there already under other names.\n\t\treturn size, err\n", "\t\tp = &progress{}\n"},
		},
	},
	{
		"ACCESS-LOG.md", "Delivery",
		"a target that does not exist, an account that is not active and an object in the way of the prefix cost the lines of that time, which are counted; a bucket made again under the target's name is the target again",
		"./metering/accesslog", "TestDelivery_withheld",
		[]change{
			{"metering/accesslog/target.go", "\tcase p.to.Status != tenancy.Active:\n\t\treturn d.withhold(notActive, p)\n", ""},
			{"metering/accesslog/target.go", "\t} else if hidden {", "\t} else if hidden && false {"},
			{"metering/accesslog/target.go", "if minio.ToErrorResponse(err).Code == \"NoSuchBucket\" {", "if minio.ToErrorResponse(err).Code == \"NoSuchKey\" {"},
			{"metering/accesslog/target.go", ".Add(float64(p.lines))\n\treturn nil", ".Add(1 - float64(p.lines))\n\treturn nil"},
		},
	},
	{
		"ACCESS-LOG.md", "Delivery",
		"what is delivered counts against no storage quota while it has its name, size and bucket, and is billed as storage",
		"./metering/accesslog", "TestDelivery_quota",
		[]change{
			{"metering/accesslog/target.go", "int64(p.text.Len()))\n\t}\n", "int64(p.lines))\n\t}\n"},
			{"metering/storage/delivered.go", "\tdata.Write(binary.AppendVarint(nil, size))\n", ""},
			{"metering/accesslog/target.go", "\tif d.cfg.MAC != nil {\n\t\tkey =", "\tif d.cfg.MAC == nil {\n\t\tkey ="},
		},
	},
}
