package main

// metering are the promises of docs/METERING.md.
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
		"METERING.md", "Sealed hours",
		"a seal covers the one before and every column of what it seals, in whatever order it lies",
		"./metering", "TestVerify_everyColumn|TestVerify_begunAnew",
		[]change{
			{"metering/seal.go", "declared_egress_bytes, read_at", "0::bigint, read_at"},
			{"metering/seal.go", `FROM usage_readings WHERE hour = $1 ORDER BY epoch, account_id, bucket_id, key_id, class COLLATE "C"`, "FROM usage_readings WHERE hour = $1"},
			{"metering/seal.go", "append(b, s.Previous[:]...)", "b"},
		},
	},
	{
		"METERING.md", "Metering: what is counted, and what can be lost",
		"a request that nobody proved, and that the backend has not let in, is nobody's to pay",
		"./proxy", "TestStranger_cost|TestStranger_leavesFirst",
		[]change{
			{"proxy/authorize.go", "(x.bucket == nil || !x.public)", "x.bucket == nil"},
			{"proxy/forward.go", "\tx.asking()\n\terr := x.backend.pool.Do(", "\tx.public = x.public || x.anonymous()\n\tx.asking()\n\terr := x.backend.pool.Do("},
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
			{"proxy/settle.go", "\tx.tally.Request()\n", ""},
		},
	},
}
