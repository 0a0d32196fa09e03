-- +goose Up
-- What an account, or one of its access keys, may do: rates of the whole fleet,
-- and budgets. NULL does not limit. A budget is hard (refused when used up)
-- unless it is soft (alerts only). Bytes; spend is in billionths of the
-- currency's unit.
CREATE TABLE account_limits (
	account_id          uuid PRIMARY KEY REFERENCES accounts (id),
	requests_per_second bigint CHECK (requests_per_second > 0),
	upload_rate         bigint CHECK (upload_rate > 0),
	download_rate       bigint CHECK (download_rate > 0),
	concurrent          bigint CHECK (concurrent > 0),
	storage_budget      bigint CHECK (storage_budget >= 0),
	egress_budget       bigint CHECK (egress_budget >= 0),
	requests_budget     bigint CHECK (requests_budget >= 0),
	spend_budget        bigint CHECK (spend_budget >= 0),
	storage_soft        boolean NOT NULL DEFAULT false,
	egress_soft         boolean NOT NULL DEFAULT false,
	requests_soft       boolean NOT NULL DEFAULT false,
	spend_soft          boolean NOT NULL DEFAULT false,
	updated_at          timestamptz NOT NULL DEFAULT now()
);

-- Which key wrote which stored byte is not known: no storage budget here.
CREATE TABLE key_limits (
	key_id              uuid PRIMARY KEY,
	account_id          uuid NOT NULL,
	requests_per_second bigint CHECK (requests_per_second > 0),
	upload_rate         bigint CHECK (upload_rate > 0),
	download_rate       bigint CHECK (download_rate > 0),
	concurrent          bigint CHECK (concurrent > 0),
	egress_budget       bigint CHECK (egress_budget >= 0),
	requests_budget     bigint CHECK (requests_budget >= 0),
	spend_budget        bigint CHECK (spend_budget >= 0),
	egress_soft         boolean NOT NULL DEFAULT false,
	requests_soft       boolean NOT NULL DEFAULT false,
	spend_soft          boolean NOT NULL DEFAULT false,
	updated_at          timestamptz NOT NULL DEFAULT now(),
	FOREIGN KEY (account_id, key_id) REFERENCES access_keys (account_id, id)
);

-- Nodes keep limits with the account and the key: they hear of a change of
-- either as they hear of those.
-- +goose StatementBegin
CREATE FUNCTION notify_limits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	r record := coalesce(NEW, OLD);
BEGIN
	IF TG_TABLE_NAME = 'account_limits' THEN
		PERFORM pg_notify('primecloud', 'account:' || r.account_id);
	ELSE
		PERFORM pg_notify('primecloud', 'key:' || k.key_id) FROM access_keys k WHERE k.id = r.key_id;
	END IF;
	RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON account_limits FOR EACH ROW EXECUTE FUNCTION notify_limits();
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON key_limits FOR EACH ROW EXECUTE FUNCTION notify_limits();

-- What spend is valued with: billionths of the currency's unit for 10^9 bytes
-- and for 1,000 requests, from valid_from on. A card without an account is
-- everyone's who has none of its own. Cards are added, never changed.
CREATE TABLE rate_cards (
	id         uuid PRIMARY KEY,
	account_id uuid REFERENCES accounts (id),
	valid_from timestamptz NOT NULL CHECK (valid_from = date_trunc('hour', valid_from, 'UTC')),
	currency   text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	egress_gb  bigint NOT NULL CHECK (egress_gb >= 0),
	ingress_gb bigint NOT NULL CHECK (ingress_gb >= 0),
	thousand_a bigint NOT NULL CHECK (thousand_a >= 0),
	thousand_b bigint NOT NULL CHECK (thousand_b >= 0),
	created_at timestamptz NOT NULL DEFAULT now(),
	UNIQUE NULLS NOT DISTINCT (account_id, valid_from)
);

-- What each epoch may use of a budget in a period: granted is cumulative, as
-- its readings are, and never less than what it has used or reserved. Once its
-- readings are final they count in its place. Egress, requests and spend have
-- months, storage has hours: what was stored since the last sample. The zero
-- key_id is the account as a whole.
CREATE TABLE budget_leases (
	account_id uuid NOT NULL,
	key_id     uuid NOT NULL,
	budget     text NOT NULL CHECK (budget IN ('storage', 'egress', 'requests', 'spend')),
	period     timestamptz NOT NULL,
	epoch      uuid NOT NULL,
	granted    bigint NOT NULL DEFAULT 0 CHECK (granted >= 0),
	used       bigint NOT NULL DEFAULT 0,
	ledger     bigint NOT NULL DEFAULT 0, -- its readings of the period at read_at
	final      boolean NOT NULL DEFAULT false, -- the epoch was over before they were read
	read_at    timestamptz NOT NULL DEFAULT '-infinity',
	renewed_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (account_id, key_id, budget, period, epoch)
);
CREATE INDEX budget_leases_period ON budget_leases (period);

-- A budget crossed a threshold: once for each month, whoever notices.
CREATE TABLE limit_events (
	id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	account_id uuid NOT NULL,
	key_id     uuid NOT NULL,
	budget     text NOT NULL CHECK (budget IN ('storage', 'egress', 'requests', 'spend')),
	month      timestamptz NOT NULL,
	threshold  smallint NOT NULL CHECK (threshold IN (50, 80, 95, 100)),
	used       bigint NOT NULL,
	budgeted   bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	UNIQUE (account_id, key_id, budget, month, threshold)
);

ALTER TABLE account_limits OWNER TO primecloud_owner;
ALTER TABLE key_limits OWNER TO primecloud_owner;
ALTER TABLE rate_cards OWNER TO primecloud_owner;
ALTER TABLE budget_leases OWNER TO primecloud_owner;
ALTER TABLE limit_events OWNER TO primecloud_owner;
ALTER FUNCTION notify_limits() OWNER TO primecloud_owner;

ALTER TABLE account_limits ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_limits FORCE ROW LEVEL SECURITY;
ALTER TABLE key_limits ENABLE ROW LEVEL SECURITY;
ALTER TABLE key_limits FORCE ROW LEVEL SECURITY;
ALTER TABLE rate_cards ENABLE ROW LEVEL SECURITY;
ALTER TABLE rate_cards FORCE ROW LEVEL SECURITY;
ALTER TABLE budget_leases ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_leases FORCE ROW LEVEL SECURITY;
ALTER TABLE limit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE limit_events FORCE ROW LEVEL SECURITY;

CREATE POLICY owner_all ON account_limits TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_all ON key_limits TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_all ON rate_cards TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_all ON budget_leases TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_all ON limit_events TO primecloud_owner USING (true) WITH CHECK (true);

-- The gateway keeps leases and writes events; limits and prices it reads.
CREATE POLICY gateway_reads ON account_limits FOR SELECT TO primecloud_gateway USING (true);
CREATE POLICY gateway_reads ON key_limits FOR SELECT TO primecloud_gateway USING (true);
CREATE POLICY gateway_reads ON rate_cards FOR SELECT TO primecloud_gateway USING (true);
CREATE POLICY gateway_all ON budget_leases TO primecloud_gateway USING (true) WITH CHECK (true);
CREATE POLICY gateway_all ON limit_events TO primecloud_gateway USING (true) WITH CHECK (true);
GRANT SELECT ON account_limits, key_limits, rate_cards TO primecloud_gateway;
GRANT SELECT, INSERT, UPDATE (granted, used, ledger, final, read_at, renewed_at), DELETE ON budget_leases TO primecloud_gateway;
GRANT SELECT, INSERT ON limit_events TO primecloud_gateway;

-- An account limits its own keys; what it may do itself is the operator's to say.
CREATE POLICY portal_own ON account_limits FOR SELECT TO primecloud_portal USING (account_id = current_account());
CREATE POLICY portal_own ON key_limits TO primecloud_portal USING (account_id = current_account()) WITH CHECK (account_id = current_account());
CREATE POLICY portal_own ON rate_cards FOR SELECT TO primecloud_portal USING (account_id IS NULL OR account_id = current_account());
CREATE POLICY portal_own ON budget_leases FOR SELECT TO primecloud_portal USING (account_id = current_account());
CREATE POLICY portal_own ON limit_events FOR SELECT TO primecloud_portal USING (account_id = current_account());
GRANT SELECT ON account_limits, rate_cards, budget_leases, limit_events TO primecloud_portal;
GRANT SELECT, INSERT, UPDATE, DELETE ON key_limits TO primecloud_portal;

CREATE POLICY worker_reads ON account_limits FOR SELECT TO primecloud_worker USING (true);
CREATE POLICY worker_reads ON limit_events FOR SELECT TO primecloud_worker USING (true);
GRANT SELECT ON account_limits, limit_events TO primecloud_worker;

-- Storage quotas begin with what was measured.
CREATE POLICY gateway_reads ON storage_samples FOR SELECT TO primecloud_gateway USING (true);
GRANT SELECT ON storage_samples TO primecloud_gateway;
