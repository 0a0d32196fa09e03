package main

// limits are the promises of docs/LIMITS.md.
var limits = []promise{
	{
		"LIMITS.md", "Limits and budgets",
		"sizes are read as they are written, 10GB as 10^10 bytes and 5TiB as 5·2^40; a bare G is refused, and so is a small number without a unit",
		"./internal/quantity", "TestSizes",
		[]change{
			{"internal/quantity/quantity.go", `{"GB", 1e9}`, `{"GB", 1 << 30}`},
			{"internal/quantity/quantity.go", `{"TiB", 1 << 40}`, `{"TiB", 1e12}`},
			{"internal/quantity/quantity.go", `unit == "" && u.bytes == 1 {`, `unit != "" && strings.HasPrefix(u.name, strings.ToUpper(unit)) || unit == "" && u.bytes == 1 {`},
			{"internal/quantity/quantity.go", `case unit == "" && 0 < n && n < bareSize:`, `case unit == "" && 0 < n && n < 2:`},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"a change of the limits of an account or of a key is heard by every node, whoever makes it",
		"./tenancy", "TestDirectory_hearsChanges",
		[]change{
			{"internal/pg/migrations/0013_least_rights.sql", "PERFORM public.tell_change('account:' || r.account_id);", "NULL;"},
			{"internal/pg/migrations/0013_least_rights.sql", "PERFORM public.tell_change('key:' || k.key_id) FROM", "PERFORM 1 FROM"},
			{"internal/pg/migrations/0007_tenancy_limits.sql", "CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON account_limits", "CREATE TRIGGER notify AFTER INSERT OR DELETE ON account_limits"},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"of requests per second one second's worth may come at once, and no more is saved up; SlowDown says when the next may come",
		"./limits", "TestRate_requests",
		[]change{
			{"limits/pacer.go", "ahead > maxAhead {", "ahead > 2*maxAhead {"},
			{"limits/pacer.go", "next := max(was, now) + cost\n\t\tif ahead", "next := was + cost\n\t\tif ahead"},
			{"limits/errors.go", "return time.Duration(max(1, (ns+int64(time.Second)-1)/int64(time.Second))) * time.Second", "return time.Duration(ns)"},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"requests at once are as many as the account's limits say, else as the node's default, also where the limits are larger",
		"./limits", "TestRate_concurrent|TestRate_concurrentDefault",
		[]change{
			{"limits/grant.go", "over := h.active.Add(1) > allowed", "over := h.active.Add(1) >= allowed"},
			{"limits/grant.go", "\t\t\th.active.Add(-1)\n", ""},
			{"limits/grant.go", "case i == 0:\n\t\tallowed", "case g.limits[i].None():\n\t\tallowed"},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"an account has half of a node's connections where nobody has said otherwise, and 1,000 buckets",
		"./internal/node", "TestConfig_concurrent|TestConfigurationPage",
		[]change{
			{"internal/node/config.go", "(cfg.S3.MaxConnections+1)/2", "cfg.S3.MaxConnections"},
			{"internal/node/config.go", "cmp.Or(cfg.S3.ConcurrentPerAccount, ", "min(cmp.Or(cfg.S3.ConcurrentPerAccount, cfg.S3.MaxConnections), "},
			{"internal/node/config.go", "default:\"1000\"", "default:\"100\""},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"requests at once last until the client has taken the answer or is cut, whatever it waits with; one more is SlowDown, is counted and is in the log",
		"./proxy", "TestConcurrency_slowClients",
		[]change{
			{"proxy/respond.go", `case "SlowDown", "ServiceUnavailable":`, `case "ServiceUnavailable":`},
			{"limits/grant.go", "if err := g.rate(i, r, now, nodes); err != nil {\n\t\t\treturn g.refused(err)", "if err := g.rate(i, r, now, nodes); err != nil {\n\t\t\treturn err"},
			{"limits/metrics.go", `Crowded: "concurrency"`, `Crowded: "crowded"`},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"requests without a key have half of the account's requests per second and at once, and its keys the other half",
		"./limits", "TestRate_strangers",
		[]change{
			{"limits/grant.go", "h.strangers.active.Add(1) > (allowed+strangersPart-1)/strangersPart || over", "h.strangers.active.Add(1) > allowed || over"},
			{"limits/grant.go", "h.strangers.requests.take(now, strangersPart*cost, max(burst, strangersPart*cost))", "h.strangers.requests.take(now, cost, max(burst, cost))"},
			{"limits/grant.go", "\t\t\t\th.strangers.active.Add(-1)\n", ""},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"a transfer rate paces bodies by steps of an eighth of a second's worth, and refuses new ones when the account is more than 10 s ahead",
		"./limits", "TestRate_transfer",
		[]change{
			{"limits/grant.go", "ahead(now) - burst; rate > 0", "ahead(now); rate > 0"},
			{"limits/grant.go", "if Direction(d) == Upload {", "if Direction(d) == Download {"},
			{"limits/grant.go", "rate/g.l.nodes.Load()/8", "rate/g.l.nodes.Load()/4"},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"downloads, uploads and forms are paced at the socket",
		"./proxy", "TestLimits_pacing",
		[]change{
			{"proxy/clientconn/conn.go", "\t\tc.pending.Moved(limits.Upload, int64(n))\n", "\t\t_ = limits.Upload\n"},
			{"proxy/conn.go", "\t\tx.tally.Egress(n)\n\t}\n", "\t\tx.tally.Egress(n)\n\t\treturn\n\t}\n"},
			{"proxy/postform.go", "\tif err := x.chargeRequest(0); err != nil {\n\t\treturn err\n\t}\n", ""},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"of creations at once only those pass for which there is room: buckets are counted under a lock, those too that are being created or deleted, and 5 minutes those that a dead process left",
		"./tenancy", "TestStore_lastBucket|TestDirectory_tooManyBuckets|TestStore_abandonedBuckets",
		[]change{
			{"tenancy/store_bucket.go", "\t\tif _, err := tx.Exec(ctx, `SELECT lock_account($1)`, account); err != nil {\n\t\t\treturn err\n\t\t}\n", ""},
			{"tenancy/store_bucket.go", "(SELECT count(*) FROM buckets WHERE account_id = $1)`", "(SELECT count(*) FROM buckets WHERE account_id = $1 AND state = 'active')`"},
			{"tenancy/store_bucket.go", "const abandoned = `interval '5 minutes'`", "const abandoned = `interval '10 minutes'`"},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"uploads, parts, forms and copies are held to the quota by what the backend stores, whatever a client says of a length, and a copy is bound to the object that was measured",
		"./proxy", "TestLimits_inputs|TestLimits_copyChanged|TestLimits_expect",
		[]change{
			{"proxy/charge.go", "\tif x.op.Body == s3op.Stream {\n\t\treturn x.length", "\tif x.op.Body == s3op.Stream {\n\t\treturn x.declared"},
			{"proxy/copysource.go", "\tx.copyOf = etag\n", ""},
			{"proxy/copysource.go", "\tx.copyOf = noETag\n", ""},
			{"proxy/copysource.go", "s3err.Error{Code: \"OperationAborted\"}", "s3err.Error{Code: \"PreconditionFailed\"}"},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"what is refused has the code, the status and the Retry-After of the table, and is unbilled",
		"./proxy", "TestLimits_refusals|TestCreateBucket_tooMany",
		[]change{
			{"proxy/s3err/errors.go", "\tcase limits.Exhausted:\n\t\tcode = \"QuotaExceeded\"\n", ""},
			{"proxy/reserve.go", "\treturn x.grant.Answer(x.srv.ctx, n)\n", "\treturn nil\n"},
			{"proxy/s3err/errors.go", `{tenancy.ErrTooManyBuckets, "TooManyBuckets"}`, `{tenancy.ErrTooManyBuckets, "QuotaExceeded"}`},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"an anonymous read is the bucket owner's, an internal key's requests are its account's, and a form is held to the budgets of who signed it",
		"./proxy", "TestLimits_whose",
		[]change{
			{"proxy/charge.go", "x.op == nil || x.identity == nil && x.bucket == nil {", "x.op == nil || x.identity == nil {"},
			{"proxy/charge.go", "if x.charge >= admitted || x.srv.cfg.Limiter == nil", "if x.charge >= admitted || x.identity != nil && x.identity.Kind != tenancy.KindS3 || x.srv.cfg.Limiter == nil"},
			{"proxy/postform.go", "\tif err := x.chargeRequest(0); err != nil {\n\t\treturn err\n\t}\n", ""},
			{"proxy/postform.go", "\tif err := x.grant.Store(x.srv.ctx, length); err != nil {\n\t\treturn err\n\t}\n", ""},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"the classes A and B use budgets, with what was sent of them; deletes are free, and what is not billed uses nothing",
		"./limits", "TestBudget_settles",
		[]change{
			{"limits/grant.go", "return c == usage.ClassA || c == usage.ClassB", "return c != usage.ClassUnbilled"},
			{"limits/grant.go", "\t} else {\n\t\to.Sent = 0\n\t}", "\t}"},
			{"limits/grant.go", "requests := int64(0)\n", "requests := int64(1)\n"},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"a key's budgets hold beside its account's",
		"./limits", "TestBudget_key",
		[]change{
			{"metering/ledger/epochs.go", "OR key_id = $2)", "OR key_id IS NOT NULL)"},
			{"limits/grant.go", "if r.Key != nil && r.Key.Limits != nil {", "if r.Key != nil && r.Key.Limits != nil && account == nil {"},
			{"limits/store.go", "ledger.SumEpochs(ctx, s.q, s.account, s.key,", "ledger.SumEpochs(ctx, s.q, s.account, tenancy.ID{},"},
			{"limits/grant.go", "l.enter(r.Account.ID, r.Key.ID)", "l.enter(r.Account.ID, tenancy.ID{})"},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"a rotated key's successor has its limits, and begins to count anew",
		"./limits", "TestBudget_successor",
		[]change{
			{"tenancy/store_key.go", "\t\tif err := copyLimits(ctx, tx, old.Key, created); err != nil {\n\t\t\treturn err\n\t\t}\n", ""},
			{"tenancy/store_limits.go", "r.EgressBudget, r.RequestsBudget, r.SpendBudget, r.EgressSoft, r.RequestsSoft, r.SpendSoft)", "r.EgressBudget, r.RequestsBudget, r.SpendBudget, false, false, false)"},
			{"limits/limits.go", "\tif key != (tenancy.ID{}) {\n\t\tid = key\n\t}\n\tfor", "\tfor"},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"a soft budget only alerts; each of 50, 80, 95 and 100 % is told once for each budget and month, 100 % also when a request was refused with 95 % taken",
		"./limits", "TestEvents_once|TestEvents_refused",
		[]change{
			{"limits/lease.go", "\tif c.Soft {\n\t\tle.avail.Add(-n)\n\t\treturn nil\n\t}\n", ""},
			{"internal/pg/migrations/0007_tenancy_limits.sql", "DEFAULT now(),\n\tUNIQUE (account_id, key_id, budget, month, threshold)\n", "DEFAULT now()\n"},
			{"limits/events.go", "t == 100 && refused && s.taken(b) >= portion(c.Amount, 95)", "t == 100 && refused"},
			{"limits/events.go", "month, _ := periodOf(tenancy.Egress, s.at)", "month := time.Unix(0, 0)"},
		},
	},
	{
		"LIMITS.md", "Rates across nodes",
		"each node enforces the limit divided by the nodes that wrote usage within 10 s, requests at once rounded up; while PostgreSQL is away the last number counts",
		"./limits", "TestRate_fleet",
		[]change{
			{"limits/grant.go", "allowed = (g.limits[i].Concurrent + nodes - 1) / nodes", "allowed = g.limits[i].Concurrent / nodes"},
			{"limits/pacer.go", "float64(n) * 1e9 * float64(nodes) / float64(rate)", "float64(n) * 1e9 / float64(rate)"},
			{"limits/limits.go", "liveness   = 10 * time.Second", "liveness   = time.Minute"},
			{"limits/limits.go", "n, err := ledger.LiveNodes(ctx, l.cfg.Pool, liveness); err == nil {", "n, err := ledger.LiveNodes(ctx, l.cfg.Pool, liveness); err == nil || n == 0 {"},
		},
	},
	{
		"LIMITS.md", "Rates across nodes",
		"a transfer rate is at least 64 KiB/s, and what no limit can be is refused",
		"./tenancy", "TestStore_limitsRefused",
		[]change{
			{"tenancy/limits.go", "const minRate = 64 << 10", "const minRate = 64000"},
			{"tenancy/limits.go", "[...]int64{l.UploadRate, l.DownloadRate}", "[...]int64{l.UploadRate}"},
			{"tenancy/limits.go", "if c != nil && c.Amount < 0 {", "if c != nil && c.Amount < 0 && !c.Soft && b > int(Egress) {"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"what a silent node holds of a budget counts as used until its readings are final, and then as much as they say",
		"./limits", "TestBudget_deadNode",
		[]change{
			{"limits/store.go", "r.budget == q.budget && s.present(r) {", "r.budget == q.budget && s.present(r) && (r.live || r.final) {"},
			{"limits/store.go", "return max(r.granted, r.ledger)", "return r.ledger"},
			{"limits/store.go", "\tcase r.final:\n\t\treturn r.ledger\n\t}\n\treturn max(r.granted", "\t}\n\treturn max(r.granted"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"nothing of a budget is spent twice, whatever happens to renewals, transfers and nodes",
		"./limits", "TestBudget_atOnce|TestBudget_anyInterleaving",
		[]change{
			{"limits/store.go", "\tif _, err := tx.Exec(ctx, `SELECT lock_account($1)`, account); err != nil {\n\t\treturn nil, err\n\t}\n", ""},
			{"limits/allocate.go", "free := max(0, c.Amount-others-a.granted)", "free := max(0, c.Amount-others-used)"},
			{"limits/grant.go", "r.lease.put(r.n - n)\n\t\t\tr.n = 0\n", "r.lease.put(r.n - n)\n"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"a slice is a quarter of an even share of what is left, bounded, and smaller as the end comes near",
		"./limits", "TestLease_slice",
		[]change{
			{"limits/allocate.go", "int64(4*max(1, nodes))", "int64(2*max(1, nodes))"},
			{"limits/allocate.go", "tenancy.Requests: 50_000", "tenancy.Requests: 500_000"},
			{"limits/allocate.go", "quantum(q.budget, c.Amount-others-used, nodes)", "quantum(q.budget, c.Amount, nodes)"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"a slice that is not used for 10 s goes back, and all of them when a node drains",
		"./limits", "TestBudget_drain|TestBudget_idle",
		[]change{
			{"limits/limits.go", "\t\th.retiring.Store(true)\n", ""},
			{"limits/limits.go", "idleAfter  = 5 ", "idleAfter  = 50 "},
			{"limits/lease.go", "\t\tle.idle++\n", ""},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"a request waits for a renewal; what other nodes hold is SlowDown, and what fits no more is QuotaExceeded, remembered for a second for what needs as much",
		"./limits", "TestLease_refusals|TestLease_waits|TestLease_refusedThenSmaller",
		[]change{
			{"limits/lease.go", "case n <= max(0, le.avail.Load())+o.reclaimable:", "case n <= max(0, le.avail.Load()):"},
			{"limits/lease.go", "o.err != nil || o.insufficient && n > o.left && o.limit == c.Amount {", "o.err != nil || o.insufficient && n > o.left {"},
			{"limits/lease.go", " && n > o.left && o.limit", " && o.limit"},
			{"limits/lease.go", "o != nil && h.l.now()-o.at < int64(retryAfter) {", "o != nil && h.l.now()-o.at < 0 {"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"while PostgreSQL is away a hard budget is good for the lease and then not known, and a soft one refuses nothing",
		"./limits", "TestBudget_outage",
		[]change{
			{"limits/lease.go", "\tcase o.err != nil:\n\t\treturn h.unknown(le.budget)\n", ""},
			{"limits/lease.go", "\tif c.Soft {\n\t\tle.avail.Add(-n)\n\t\treturn nil\n\t}\n", ""},
			{"limits/lease.go", "left, ok := le.try(n)\n\tif !ok {", "left, ok := le.try(n)\n\tif o := le.outcome.Load(); o != nil && o.err != nil {\n\t\treturn nil\n\t}\n\tif !ok {"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"a budget that is set late counts what was used, and one that is lowered is passed by what was leased or in flight, as account show prints, and by nothing more",
		"./limits", "TestBudget_setLate|TestReport_lowered|TestReport_whileLeasing",
		[]change{
			{"limits/report.go", "max(0, charged-max(c.Amount, st.Used))", "max(0, charged-c.Amount)"},
			{"limits/report.go", "err = pg.InSnapshot(ctx, db, func(q pg.Querier) error {", "err = func(q pg.Querier, f func(pg.Querier) error) error { return f(q) }(db.(pg.Querier), func(q pg.Querier) error {"},
			{"limits/store.go", "case tenancy.Egress:\n\t\t\t\tr.ledger += u.Egress\n", "case tenancy.Egress:\n"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"a transfer over the turn of a month was reserved in the month in which it began, and counts where it moved",
		"./limits", "TestLease_turn|TestBudget_fleet",
		[]change{
			{"limits/lease.go", "\t\th.past = append(h.past, le)\n", ""},
			{"limits/lease.go", "return start, start.AddDate(0, 1, 0)", "return start, start.AddDate(0, 2, 0)"},
			{"limits/lease.go", "if le != nil && now.Before(le.end) {\n\t\treturn le //", "if le != nil {\n\t\treturn le //"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"an answer of unknown length is reserved as 16 KiB",
		"./proxy", "TestLimits_unknownLength",
		[]change{
			{"proxy/reserve.go", "n = 16 << 10", "n = 8 << 10"},
			{"proxy/reserve.go", "if n < 0 {\n\t\t// A document", "if n < -1 {\n\t\t// A document"},
			{"proxy/reserve.go", "\treturn x.grant.Answer(x.srv.ctx, n)\n", "\treturn nil\n"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"storage is what was last measured and what was stored since, the hour of the measurement whole; what the backend refused is not",
		"./limits", "TestBudget_storage|TestBudget_storageHour",
		[]change{
			{"limits/grant.go", "tenancy.Budget(b) == tenancy.Storage && o.Stored {", "tenancy.Budget(b) == tenancy.Storage {"},
			{"limits/store.go", "\t\tothers = s.stored\n", "\t\tothers = 0\n"},
			{"limits/store.go", "s.since = s.since.UTC().Truncate(time.Hour)", "s.since = s.since.UTC()"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"a copy's source is asked for its length under a hard quota only, and once",
		"./proxy", "TestLimits_copyLine",
		[]change{
			{"proxy/copysource.go", "!x.op.CopySource || !x.grant.Hard(tenancy.Storage)", "!x.op.CopySource"},
			{"proxy/copysource.go", `x.out.set("HEAD", x.source`, `x.out.set("GET", x.source`},
			{"limits/grant.go", "l.Caps[b] != nil && !l.Caps[b].Soft {", "l.Caps[b] != nil {"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"an upload whose answer was lost counts, in every way to upload",
		"./proxy", "TestLimits_lostAnswer",
		[]change{
			{"proxy/charge.go", "Stored: x.status < 400 || (x.status == 499 || x.status >= 500) && x.sent && x.received == x.length && x.body.err == nil,", "Stored: x.status < 400,"},
			{"proxy/settle.go", "\tx.settleCharge()\n", "\tx.bind()\n\tx.reclass()\n\tx.tally.Request()\n\tx.grant.End()\n"},
			{"limits/grant.go", "tenancy.Budget(b) == tenancy.Storage && o.Stored {", "tenancy.Budget(b) == tenancy.Storage && o.Stored && o.Billed {"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"spend is valued by the card in force in each hour, the account's own before everyone's, each part rounded up",
		"./limits", "TestBudget_spend|TestRates_Cost",
		[]change{
			{"limits/rates.go", "!c.ValidFrom.After(at) && (c.Account != (tenancy.ID{}) || !own)", "!c.ValidFrom.After(at) && (own || !own)"},
			{"limits/store.go", "at = cuts[u.Piece-1]", "at = s.at"},
			{"limits/rates.go", "bits.Add64(lo, uint64(per-1), 0)", "bits.Add64(lo, 0, 0)"},
		},
	},
	{
		"LIMITS.md", "Budgets across nodes",
		"a rate card is added and never changed, by no role but the operator's",
		"./limits", "TestCards_neverChanged",
		[]change{
			{"limits/rates.go", "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,", "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (account_id, valid_from) DO UPDATE SET egress_gb = excluded.egress_gb`,"},
			{"internal/pg/migrations/0007_tenancy_limits.sql", "UNIQUE NULLS NOT DISTINCT (account_id, valid_from)", "UNIQUE (account_id, valid_from)"},
			{"internal/pg/migrations/0007_tenancy_limits.sql", "GRANT SELECT ON account_limits, key_limits, rate_cards TO primecloud_gateway;", "GRANT SELECT ON account_limits, key_limits TO primecloud_gateway;\nGRANT ALL ON rate_cards TO primecloud_gateway;"},
		},
	},
	{
		"LIMITS.md", "Limits and budgets",
		"of limits, budgets, alerts and prices the portal sees an account its own, and limits no key of another's",
		"./limits", "TestRoles_portal",
		[]change{
			{"internal/pg/migrations/0007_tenancy_limits.sql", "portal_own ON account_limits FOR SELECT TO primecloud_portal USING (account_id = current_account())", "portal_own ON account_limits FOR SELECT TO primecloud_portal USING (true)"},
			{"internal/pg/migrations/0007_tenancy_limits.sql", "portal_own ON key_limits TO primecloud_portal USING (account_id = current_account())", "portal_own ON key_limits TO primecloud_portal USING (true)"},
			{"internal/pg/migrations/0007_tenancy_limits.sql", "WITH CHECK (account_id = current_account());", "WITH CHECK (true);"},
			{"internal/pg/migrations/0007_tenancy_limits.sql", "USING (account_id IS NULL OR account_id = current_account())", "USING (true)"},
			{"internal/pg/migrations/0007_tenancy_limits.sql", "portal_own ON budget_leases FOR SELECT TO primecloud_portal USING (account_id = current_account())", "portal_own ON budget_leases FOR SELECT TO primecloud_portal USING (true)"},
			{"internal/pg/migrations/0007_tenancy_limits.sql", "portal_own ON limit_events FOR SELECT TO primecloud_portal USING (account_id = current_account())", "portal_own ON limit_events FOR SELECT TO primecloud_portal USING (true)"},
		},
	},
}
