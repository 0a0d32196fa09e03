-- +goose Up
-- Seals: hours whose figures are final are sealed one after the other, without
-- a gap. Each seal holds a hash over all that the hour has and over the seal
-- before, and a MAC of that hash with a key that the database never sees.
CREATE TABLE usage_seals (
	hour        timestamptz PRIMARY KEY CHECK (hour = date_trunc('hour', hour, 'UTC')),
	rows        bigint NOT NULL CHECK (rows >= 0), -- of usage_readings
	adjustments bigint NOT NULL CHECK (adjustments >= 0), -- whose seal_hour it is
	previous    bytea NOT NULL UNIQUE CHECK (length(previous) = 32), -- the hash of the hour before; zeros in the first seal
	hash        bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
	key_id      text NOT NULL,
	hmac        bytea NOT NULL,
	sealed_at   timestamptz NOT NULL
);

-- What comes for an hour that is sealed: by how much the counters of an epoch's
-- cell are above what is sealed of them. seal_hour is the first hour that was
-- not sealed when it came: that hour's seal covers it.
CREATE TABLE usage_adjustments (
	epoch                  uuid NOT NULL,
	account_id             uuid NOT NULL,
	bucket_id              uuid NOT NULL,
	key_id                 uuid NOT NULL,
	class                  text NOT NULL CHECK (class IN ('A', 'B', 'free', 'unbilled')),
	hour                   timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
	seal_hour              timestamptz NOT NULL CHECK (seal_hour = date_trunc('hour', seal_hour, 'UTC') AND seal_hour > hour),
	requests               bigint NOT NULL CHECK (requests >= 0),
	ingress_bytes          bigint NOT NULL CHECK (ingress_bytes >= 0),
	egress_bytes           bigint NOT NULL CHECK (egress_bytes >= 0),
	declared_ingress_bytes bigint NOT NULL CHECK (declared_ingress_bytes >= 0),
	declared_egress_bytes  bigint NOT NULL CHECK (declared_egress_bytes >= 0),
	recorded_at            timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (epoch, account_id, bucket_id, key_id, class, hour, seal_hour)
);
CREATE INDEX usage_adjustments_account ON usage_adjustments (account_id, hour);
CREATE INDEX usage_adjustments_seal ON usage_adjustments (seal_hour);

-- Sealing reads an hour. Readings are appended hour by hour: a block range
-- index finds them and costs the flush next to nothing.
CREATE INDEX usage_readings_hour ON usage_readings USING brin (hour) WITH (pages_per_range = 16, autosummarize = on);

-- The process that reported last. Another one than the epoch's own means that
-- two processes count in it.
ALTER TABLE usage_nodes ADD COLUMN writer uuid, ADD COLUMN contested_at timestamptz;

-- Who writes usage shares a lock until it commits, who seals has it alone. The
-- lock comes first and the look at the seals after it, with a snapshot of its
-- own: under an older snapshot a seal could be missed.
-- +goose StatementBegin
CREATE FUNCTION usage_open_from() RETURNS timestamptz LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'usage is written and sealed in READ COMMITTED transactions' USING ERRCODE = 'invalid_transaction_state';
	END IF;
	PERFORM pg_advisory_xact_lock_shared(504414725989);
	RETURN (SELECT max(hour) + interval '1 hour' FROM usage_seals); -- NULL: nothing is sealed
END
$$;

-- Flushes wait behind one who waits for the lock: not for long.
CREATE FUNCTION lock_usage() RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '3s' AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'usage is written and sealed in READ COMMITTED transactions' USING ERRCODE = 'invalid_transaction_state';
	END IF;
	PERFORM pg_advisory_xact_lock(504414725989);
END
$$;

-- Whoever writes: what is sealed does not change. "moved" is what a statement
-- removed, or added; after an update "moved_to" is what it made of it.
CREATE FUNCTION keep_sealed_usage() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
	open timestamptz := usage_open_from();
	first timestamptz := '-infinity'; -- of a TRUNCATE
BEGIN
	IF open IS NULL THEN
		RETURN NULL;
	END IF;
	IF TG_OP <> 'TRUNCATE' AND TG_TABLE_NAME = 'usage_readings' THEN
		SELECT min(hour) INTO first FROM moved;
	ELSIF TG_OP <> 'TRUNCATE' THEN
		SELECT min(seal_hour) INTO first FROM moved;
	END IF;
	IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'usage_readings' THEN
		SELECT least(first, min(hour)) INTO first FROM moved_to;
	ELSIF TG_OP = 'UPDATE' THEN
		SELECT least(first, min(seal_hour)) INTO first FROM moved_to;
	END IF;
	IF first < open THEN
		RAISE EXCEPTION '% of %: usage before % is sealed', TG_OP, TG_TABLE_NAME, open USING ERRCODE = 'check_violation',
			HINT = 'What comes late belongs into usage_adjustments.';
	END IF;
	RETURN NULL;
END
$$;

CREATE FUNCTION append_usage_seal() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
	last usage_seals;
BEGIN
	PERFORM lock_usage();
	SELECT * INTO last FROM usage_seals ORDER BY hour DESC LIMIT 1;
	IF FOUND AND (NEW.hour <> last.hour + interval '1 hour' OR NEW.previous <> last.hash) THEN
		RAISE EXCEPTION 'the seal after that of % is of the next hour, and holds its hash', last.hour USING ERRCODE = 'check_violation';
	END IF;
	RETURN NEW;
END
$$;

CREATE FUNCTION keep_usage_seals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION '% of %: a seal stays', TG_OP, TG_TABLE_NAME USING ERRCODE = 'check_violation';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER keep_sealed_insert AFTER INSERT ON usage_readings REFERENCING NEW TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION keep_sealed_usage();
CREATE TRIGGER keep_sealed_update AFTER UPDATE ON usage_readings REFERENCING OLD TABLE AS moved NEW TABLE AS moved_to FOR EACH STATEMENT EXECUTE FUNCTION keep_sealed_usage();
CREATE TRIGGER keep_sealed_delete AFTER DELETE ON usage_readings REFERENCING OLD TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION keep_sealed_usage();
CREATE TRIGGER keep_sealed_truncate BEFORE TRUNCATE ON usage_readings FOR EACH STATEMENT EXECUTE FUNCTION keep_sealed_usage();
CREATE TRIGGER keep_sealed_insert AFTER INSERT ON usage_adjustments REFERENCING NEW TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION keep_sealed_usage();
CREATE TRIGGER keep_sealed_update AFTER UPDATE ON usage_adjustments REFERENCING OLD TABLE AS moved NEW TABLE AS moved_to FOR EACH STATEMENT EXECUTE FUNCTION keep_sealed_usage();
CREATE TRIGGER keep_sealed_delete AFTER DELETE ON usage_adjustments REFERENCING OLD TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION keep_sealed_usage();
CREATE TRIGGER keep_sealed_truncate BEFORE TRUNCATE ON usage_adjustments FOR EACH STATEMENT EXECUTE FUNCTION keep_sealed_usage();
CREATE TRIGGER append_seal BEFORE INSERT ON usage_seals FOR EACH ROW EXECUTE FUNCTION append_usage_seal();
CREATE TRIGGER keep_seals BEFORE UPDATE OR DELETE OR TRUNCATE ON usage_seals FOR EACH STATEMENT EXECUTE FUNCTION keep_usage_seals();

CREATE OR REPLACE VIEW usage_hourly WITH (security_invoker = true) AS
	SELECT account_id, bucket_id, key_id, class, hour,
		sum(requests)::bigint AS requests,
		sum(ingress_bytes)::bigint AS ingress_bytes,
		sum(egress_bytes)::bigint AS egress_bytes,
		sum(declared_ingress_bytes)::bigint AS declared_ingress_bytes,
		sum(declared_egress_bytes)::bigint AS declared_egress_bytes,
		coalesce(sum(requests) FILTER (WHERE late), 0)::bigint AS adjusted_requests,
		coalesce(sum(ingress_bytes) FILTER (WHERE late), 0)::bigint AS adjusted_ingress_bytes,
		coalesce(sum(egress_bytes) FILTER (WHERE late), 0)::bigint AS adjusted_egress_bytes
	FROM (
		SELECT account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes, false AS late
		FROM usage_readings
		UNION ALL
		SELECT account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes, true
		FROM usage_adjustments
	) AS written GROUP BY account_id, bucket_id, key_id, class, hour;

ALTER TABLE usage_seals OWNER TO primecloud_owner;
ALTER TABLE usage_adjustments OWNER TO primecloud_owner;
ALTER FUNCTION usage_open_from() OWNER TO primecloud_owner;
ALTER FUNCTION lock_usage() OWNER TO primecloud_owner;
ALTER FUNCTION keep_sealed_usage() OWNER TO primecloud_owner;
ALTER FUNCTION append_usage_seal() OWNER TO primecloud_owner;
ALTER FUNCTION keep_usage_seals() OWNER TO primecloud_owner;

ALTER TABLE usage_adjustments ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_adjustments FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON usage_adjustments TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY gateway_all ON usage_adjustments TO primecloud_gateway USING (true) WITH CHECK (true);
CREATE POLICY portal_own ON usage_adjustments FOR SELECT TO primecloud_portal USING (account_id = current_account());
CREATE POLICY worker_reads ON usage_adjustments FOR SELECT TO primecloud_worker USING (true);

GRANT SELECT, INSERT, UPDATE (requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes)
	ON usage_adjustments TO primecloud_gateway;
GRANT SELECT ON usage_adjustments TO primecloud_portal, primecloud_worker;
GRANT SELECT ON usage_seals TO primecloud_gateway, primecloud_worker;
GRANT INSERT ON usage_seals TO primecloud_worker;
GRANT UPDATE (writer, contested_at) ON usage_nodes TO primecloud_gateway;
