package main

// metering are the promises of docs/METERING.md about what a node counts.
var metering = []promise{
	{
		"METERING.md", "The way of a count",
		"the journal is on the disk every sync_interval: a lost machine loses what was counted since",
		"./metering", "TestJournal_synced|TestJournal_machineLost",
		[]change{
			{"metering/journal.go", "if err := unix.Msync(s, unix.MS_SYNC); err != nil {\n\t\t\treturn fmt", "if err := error(nil); s == nil {\n\t\t\treturn fmt"},
			{"metering/journal.go", "range segments {", "range segments[:1] {"},
			{"metering/meter.go", "ticking.Go(func() { every(ctx, m.cfg.SyncInterval, m.sync) })", "_ = m.sync"},
		},
	},
	{
		"METERING.md", "Metering: what is counted, and what can be lost",
		"a request that nobody proved, and that the backend has not let in, is nobody's to pay",
		"./proxy", "TestStranger_cost|TestStranger_leavesFirst",
		[]change{
			{"proxy/charge.go", "(x.bucket == nil || !x.public)", "x.bucket == nil"},
			{"proxy/forward.go", "\tx.requestSent()\n\terr := x.backend.pool.Do(", "\tx.public = x.public || x.anonymous()\n\tx.requestSent()\n\terr := x.backend.pool.Do("},
			{"proxy/s3op/counting.go", "case o == nil, by == Nobody, unbilled(status):", "case o == nil, unbilled(status):"},
		},
	},
	{
		"METERING.md", "Metering: what is counted, and what can be lost",
		"a request is counted once, with its bytes, in its class and cell, wherever its client leaves",
		"./proxy", "TestCounting",
		[]change{
			{"proxy/s3op/counting.go", "status == 401 || status == 403 || status >= 500", "status == 401 || status >= 500"},
			{"proxy/s3op/counting.go", "case by == Internal && !o.MovesObject():", "case by == Internal:"},
			{"proxy/s3op/table.go", `{Name: "HeadBucket", Method: "HEAD", Level: Bucket, Class: classB`, `{Name: "HeadBucket", Method: "HEAD", Level: Bucket, Class: classA`},
			{"proxy/charge.go", "\tx.tally.Request()\n", ""},
		},
	},
	{
		"METERING.md", "Metering: what is counted, and what can be lost",
		"the counting table is what the rules do, and another way of counting needs another version",
		"./proxy/s3op", "TestCountingPage",
		[]change{
			{"proxy/s3op/counting.go", "case by == Internal && !o.MovesObject():", "case by == Internal:"},
			{"proxy/s3op/counting.go", " || o.Body == Form || ", " || "},
			{"proxy/s3op/table.go", `{Name: "HeadBucket", Method: "HEAD", Level: Bucket, Class: classB`, `{Name: "HeadBucket", Method: "HEAD", Level: Bucket, Class: classA`},
			{"proxy/s3op/counting.go", "CountingVersion = 2", "CountingVersion = 3"},
		},
	},
	{
		"METERING.md", "The way of a count",
		"an addition to a cell that exists takes no memory",
		"./metering", "TestAllocs",
		[]change{
			{"metering/tally.go", "*t = Tally{parts: t.parts[:0]}", "*t = Tally{}"},
			{"metering/tally.go", "t.parts = append(t.parts, part)", "t.parts = append([]usage.Delta{}, append(t.parts, part)...)"},
			{"metering/meter.go", "if c := s.find(hash, ck); c != nil && c.enter() {", "if c := s.find(hash, ck); c != nil && c.enter() && len(c.key.AccessKey.String()) > 0 {"},
		},
	},
	{
		"METERING.md", "The way of a count",
		"a changed byte of a journal is found by a checksum or outvoted by two other copies, and never believed",
		"./metering", "TestJournal_damage",
		[]change{
			{"metering/journal.go", " || r.sum != r.keySum()", ""},
			{"metering/journal.go", " || h.sum != h.sumOf()", ""},
			{"metering/counter.go", "first < second || second < third || ", ""},
			{"metering/counter.go", "return second, true", "return first, true"},
		},
	},
	{
		"METERING.md", "The way of a count",
		"a damaged journal is put aside, its intact cells are written, and no period becomes final until its epoch is retired",
		"./metering", "TestJournal_damage",
		[]change{
			{"metering/journal.go", "Closed: o.damage == nil", "Closed: true"},
			{"metering/journal.go", "\tif o.damage != nil {\n\t\treturn disk.Rename", "\tif o.damage == nil {\n\t\treturn disk.Rename"},
			{"metering/journal.go", "Format(\"2006-01-02T15\")))\n\t\t\tcontinue", "Format(\"2006-01-02T15\")))\n\t\t\tbreak"},
		},
	},
	{
		"METERING.md", "The way of a count",
		"a full disk, at start or later, costs nothing while the process lives: cells are in memory, an alarm says so, no period becomes final, and with room again the alarm ends with the hour",
		"./metering", "TestJournal_diskFull|TestJournal_diskFullAtStart",
		[]change{
			{"metering/journal.go", "case disk.IsFull(err):", "case disk.IsFull(err) && len(dir) == 0:"},
			{"metering/flush.go", "\t\twatermark = time.Time{}\n", ""},
			{"metering/late.go", "\t\tj.addDegraded(-1)\n", ""},
		},
	},
	{
		"METERING.md", "The way of a count",
		"a process that is killed while its disk is full has counted what is in no journal: its epoch stays open",
		"./metering", "TestJournal_diskFullAtStart",
		[]change{
			{"metering/late.go", "uint32(min(n, 1))", "0"},
			{"metering/journal.go", "if h.incomplete.Load() != 0 {", "if h.incomplete.Load() > 1 {"},
			{"metering/journal.go", "Closed: o.damage == nil", "Closed: true"},
		},
	},
	{
		"METERING.md", "The way of a count",
		"what a killed process has counted is in its journal; the next one takes it over, writes it, says that its epoch is over and deletes it",
		"./metering", "TestJournal_kill",
		[]change{
			{"metering/journal.go", "unix.MAP_SHARED", "unix.MAP_PRIVATE"},
			{"metering/journal.go", "Closed: o.damage == nil", "Closed: false"},
			{"metering/flush.go", "\t\t\terr = o.end()\n", "\t\t\terr = nil\n"},
		},
	},
	{
		"METERING.md", "The way of a count",
		"one process has a journal folder at a time, and what it counts in is not handed in",
		"./metering", "TestJournal_locked",
		[]change{
			{"internal/disk/disk.go", "unix.LOCK_EX|unix.LOCK_NB", "unix.LOCK_SH|unix.LOCK_NB"},
			{"metering/journal.go", "lock, err := disk.Lock(filepath.Dir(path))", "lock, err := os.Open(filepath.Dir(path))"},
			{"metering/journal.go", "return errors.Join(err, j.file.Close(), j.lock.Close())", "return errors.Join(err, j.file.Close())"},
		},
	},
	{
		"METERING.md", "The way of a count",
		"readings are totals: one that comes again, twice or late changes nothing, and the larger one stays",
		"./metering", "TestFlush_again",
		[]change{
			{"metering/ledger/reading.go", "requests = greatest(r.requests, excluded.requests)", "requests = r.requests + excluded.requests"},
			{"metering/ledger/reading.go", "egress_bytes = greatest(r.egress_bytes, excluded.egress_bytes)", "egress_bytes = excluded.egress_bytes"},
			{"metering/ledger/reading.go", "declared_ingress_bytes = greatest(r.declared_ingress_bytes, excluded.declared_ingress_bytes)", "declared_ingress_bytes = r.declared_ingress_bytes"},
		},
	},
	{
		"METERING.md", "The way of a count",
		"cells of past hours that are written make room for others, and none of them begins anew",
		"./metering", "TestJournal_room|TestMeter_HeldUpBeyondRetirement",
		[]change{
			{"metering/shard.go", "k.hour < s.minHour || ", ""},
			{"metering/journal.go", "\tj.free = append(j.free, c.record)\n}", "}"},
			{"metering/journal.go", "\tr.reset()\n\tr.sum", "\tr.sum"},
		},
	},
	{
		"METERING.md", "The way of a count",
		"PostgreSQL that is away, or a network that falls silent, costs nothing: a flush gives up in time and writes it all later",
		"./metering", "TestMeter_SilentNetwork",
		[]change{
			{"metering/flush.go", "if t := n.series.read(); t != n.series.confirmed {", "if t := n.series.read(); t.Requests != n.series.confirmed.Requests {"},
			{"metering/flush.go", "\t\tif err := m.write(ctx, m.journal.epoch, readings[from:to]); err != nil {\n\t\t\treturn err\n\t\t}\n", "\t\t_ = m.write(ctx, m.journal.epoch, readings[from:to])\n"},
			{"metering/flush.go", "\t\tm.metrics.failures.Inc()\n\t\treturn fmt.Errorf(\"flush", "\t\treturn fmt.Errorf(\"flush"},
		},
	},
	{
		"METERING.md", "The way of a count",
		"a download is counted as it moves: whenever it is cut, at most a step of what its client has is missing, and nothing is counted that did not move",
		"./proxy", "TestDownload_steps",
		[]change{
			{"proxy/stream.go", "spliceStep = 1 << 20", "spliceStep = 16 << 20"},
			{"proxy/clientconn/conn.go", "\tn, err := c.socket.Splice(from, part.N)\n\tc.body(n)\n", "\tn, err := c.socket.Splice(from, part.N)\n\tc.body(part.N + n)\n"},
			{"proxy/upstream/response.go", "N: min(step, r.left)}", "N: max(step, r.left)}"},
			{"proxy/conn.go", "x.tally.Egress(n)", "x.tally.Egress(x.conn.Sent())"},
		},
	},
}
