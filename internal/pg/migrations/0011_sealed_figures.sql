-- +goose Up
-- The lock between those who write usage and who seals it is one on the seals'
-- table, taken by functions of the owner's: who may not call them cannot hold
-- it. Anybody may hold an advisory lock. Writers and sealers that wait behind
-- this migration come to the triggers below, which take the new one.
SELECT pg_advisory_xact_lock(504414725989);

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION usage_open_from() RETURNS timestamptz LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'usage is written and sealed in READ COMMITTED transactions' USING ERRCODE = 'invalid_transaction_state';
	END IF;
	LOCK TABLE public.usage_seals IN ROW SHARE MODE;
	RETURN (SELECT max(hour) + interval '1 hour' FROM public.usage_seals); -- NULL: nothing is sealed
END
$$;

-- Readers go on, writers wait behind one who waits for the lock: not for long.
CREATE OR REPLACE FUNCTION lock_usage() RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '3s' AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'usage is written and sealed in READ COMMITTED transactions' USING ERRCODE = 'invalid_transaction_state';
	END IF;
	LOCK TABLE public.usage_seals IN EXCLUSIVE MODE;
END
$$;

-- One at a time for each account, whoever counts its buckets or shares out its
-- budgets.
CREATE FUNCTION lock_account(account uuid) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
	PERFORM FROM public.accounts WHERE id = account FOR NO KEY UPDATE;
END
$$;

-- Whoever writes: what is sealed does not change. "moved" is what a statement
-- added, or had before it changed it.
CREATE OR REPLACE FUNCTION keep_sealed_usage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
	open timestamptz := public.usage_open_from();
	first timestamptz;
BEGIN
	IF TG_TABLE_NAME = 'usage_readings' THEN
		SELECT min(hour) INTO first FROM moved;
	ELSE
		SELECT min(seal_hour) INTO first FROM moved;
	END IF;
	IF first < open THEN
		RAISE EXCEPTION '% of %: usage before % is sealed', TG_OP, TG_TABLE_NAME, open USING ERRCODE = 'check_violation',
			HINT = 'What comes late belongs into usage_adjustments.';
	END IF;
	RETURN NULL;
END
$$;

CREATE FUNCTION keep_usage_growing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION '% of %: usage only grows', TG_OP, TG_TABLE_NAME USING ERRCODE = 'check_violation';
END
$$;

-- The seal of an adjustment is the next one, whatever the writer says.
CREATE FUNCTION place_usage_adjustment() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
	NEW.seal_hour := public.usage_open_from();
	NEW.recorded_at := now();
	IF NEW.seal_hour IS NULL OR NEW.hour >= NEW.seal_hour THEN
		RAISE EXCEPTION 'usage of % is not sealed: it needs no adjustment', NEW.hour USING ERRCODE = 'check_violation';
	END IF;
	RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION append_usage_seal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
	last public.usage_seals;
BEGIN
	PERFORM public.lock_usage();
	SELECT * INTO last FROM public.usage_seals ORDER BY hour DESC LIMIT 1;
	IF FOUND AND (NEW.hour <> last.hour + interval '1 hour' OR NEW.previous <> last.hash) THEN
		RAISE EXCEPTION 'the seal after that of % is of the next hour, and holds its hash', last.hour USING ERRCODE = 'check_violation';
	END IF;
	-- Whatever the nodes say of their clocks.
	IF NEW.hour + interval '1 hour' > clock_timestamp() THEN
		RAISE EXCEPTION 'the hour % is not over', NEW.hour USING ERRCODE = 'check_violation';
	END IF;
	IF NEW.samples IS NULL THEN
		RAISE EXCEPTION 'a seal covers samples of stored bytes too: this worker is older than the schema' USING ERRCODE = 'check_violation';
	END IF;
	RETURN NEW;
END
$$;
-- +goose StatementEnd

ALTER FUNCTION lock_account(uuid) OWNER TO primecloud_owner;
ALTER FUNCTION keep_usage_growing() OWNER TO primecloud_owner;
ALTER FUNCTION place_usage_adjustment() OWNER TO primecloud_owner;
REVOKE ALL ON FUNCTION usage_open_from(), lock_usage(), lock_account(uuid), keep_sealed_usage(), place_usage_adjustment(), append_usage_seal() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION usage_open_from() TO primecloud_gateway, primecloud_worker;
GRANT EXECUTE ON FUNCTION lock_usage() TO primecloud_worker;
GRANT EXECUTE ON FUNCTION lock_account(uuid) TO primecloud_gateway;

DROP TRIGGER keep_sealed_update ON usage_readings;
DROP TRIGGER keep_sealed_delete ON usage_readings;
DROP TRIGGER keep_sealed_truncate ON usage_readings;
DROP TRIGGER keep_sealed_insert ON usage_adjustments;
DROP TRIGGER keep_sealed_update ON usage_adjustments;
DROP TRIGGER keep_sealed_delete ON usage_adjustments;
DROP TRIGGER keep_sealed_truncate ON usage_adjustments;
CREATE TRIGGER keep_sealed_update AFTER UPDATE ON usage_readings REFERENCING OLD TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION keep_sealed_usage();
CREATE TRIGGER keep_sealed_update AFTER UPDATE ON usage_adjustments REFERENCING OLD TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION keep_sealed_usage();
CREATE TRIGGER place BEFORE INSERT ON usage_adjustments FOR EACH ROW EXECUTE FUNCTION place_usage_adjustment();

-- The condition costs a flush next to nothing; the function is called for what
-- it refuses.
CREATE TRIGGER only_grow BEFORE UPDATE ON usage_readings FOR EACH ROW
	WHEN ((NEW.epoch, NEW.account_id, NEW.bucket_id, NEW.key_id, NEW.class, NEW.hour) IS DISTINCT FROM (OLD.epoch, OLD.account_id, OLD.bucket_id, OLD.key_id, OLD.class, OLD.hour)
		OR NEW.requests < OLD.requests OR NEW.ingress_bytes < OLD.ingress_bytes OR NEW.egress_bytes < OLD.egress_bytes
		OR NEW.declared_ingress_bytes < OLD.declared_ingress_bytes OR NEW.declared_egress_bytes < OLD.declared_egress_bytes)
	EXECUTE FUNCTION keep_usage_growing();
CREATE TRIGGER only_grow BEFORE UPDATE ON usage_adjustments FOR EACH ROW
	WHEN ((NEW.epoch, NEW.account_id, NEW.bucket_id, NEW.key_id, NEW.class, NEW.hour, NEW.seal_hour) IS DISTINCT FROM (OLD.epoch, OLD.account_id, OLD.bucket_id, OLD.key_id, OLD.class, OLD.hour, OLD.seal_hour)
		OR NEW.requests < OLD.requests OR NEW.ingress_bytes < OLD.ingress_bytes OR NEW.egress_bytes < OLD.egress_bytes
		OR NEW.declared_ingress_bytes < OLD.declared_ingress_bytes OR NEW.declared_egress_bytes < OLD.declared_egress_bytes)
	EXECUTE FUNCTION keep_usage_growing();
CREATE TRIGGER never_less BEFORE DELETE OR TRUNCATE ON usage_readings FOR EACH STATEMENT EXECUTE FUNCTION keep_usage_growing();
CREATE TRIGGER never_less BEFORE DELETE OR TRUNCATE ON usage_adjustments FOR EACH STATEMENT EXECUTE FUNCTION keep_usage_growing();

-- Samples of stored bytes are sealed as usage is: a sample by the seal of its
-- hour, or by the next one when it came later. NULL: the seal is of before.
ALTER TABLE usage_seals ADD COLUMN samples bigint CHECK (samples >= 0);

-- What is there is covered by the next seal, or by the first: a default that is
-- a constant rewrites no row.
-- +goose StatementBegin
DO $$
BEGIN
	EXECUTE format('ALTER TABLE storage_samples ADD COLUMN seal_hour timestamptz NOT NULL DEFAULT %L',
		coalesce((SELECT max(hour) + interval '1 hour' FROM usage_seals), '-infinity'));
	ALTER TABLE storage_samples ALTER COLUMN seal_hour DROP DEFAULT;
END
$$;

-- A listing may end within a day of an hour in which it read
-- (metering/store_samples.go); a later sample of it is nobody's.
CREATE FUNCTION place_storage_sample() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
	open timestamptz := public.usage_open_from();
BEGIN
	IF TG_OP = 'TRUNCATE' OR TG_OP <> 'INSERT' AND OLD.seal_hour < open THEN
		RAISE EXCEPTION '% of storage_samples: the sample is sealed', TG_OP USING ERRCODE = 'check_violation';
	ELSIF TG_OP = 'DELETE' THEN
		RETURN OLD;
	ELSIF TG_OP = 'INSERT' THEN
		IF NEW.hour < open - interval '25 hours' THEN
			RAISE EXCEPTION 'a sample of % comes too late', NEW.hour USING ERRCODE = 'check_violation';
		END IF;
		NEW.seal_hour := greatest(open, NEW.hour);
	ELSIF (NEW.bucket_id, NEW.hour, NEW.account_id) IS DISTINCT FROM (OLD.bucket_id, OLD.hour, OLD.account_id) THEN
		RAISE EXCEPTION 'a sample stays with its bucket and hour' USING ERRCODE = 'check_violation';
	ELSE
		NEW.seal_hour := OLD.seal_hour;
	END IF;
	RETURN NEW;
END
$$;
-- +goose StatementEnd
ALTER FUNCTION place_storage_sample() OWNER TO primecloud_owner;
REVOKE ALL ON FUNCTION place_storage_sample() FROM PUBLIC;
CREATE TRIGGER place BEFORE INSERT OR UPDATE OR DELETE ON storage_samples FOR EACH ROW EXECUTE FUNCTION place_storage_sample();
CREATE TRIGGER keep_samples BEFORE TRUNCATE ON storage_samples FOR EACH STATEMENT EXECUTE FUNCTION place_storage_sample();
CREATE INDEX storage_samples_seal ON storage_samples USING brin (seal_hour) WITH (pages_per_range = 16, autosummarize = on);

-- Every row that counts, and whether a seal covers it.
CREATE VIEW usage_written WITH (security_invoker = true) AS
	SELECT account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes, false AS late,
		EXISTS (SELECT FROM usage_seals s WHERE s.hour = r.hour) AS sealed
	FROM usage_readings r
	UNION ALL
	SELECT account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes, true,
		EXISTS (SELECT FROM usage_seals s WHERE s.hour = a.seal_hour)
	FROM usage_adjustments a;
ALTER VIEW usage_written OWNER TO primecloud_owner;
GRANT SELECT ON usage_written TO primecloud_gateway, primecloud_portal, primecloud_worker;
GRANT SELECT (hour, samples) ON usage_seals TO primecloud_portal;

-- When a node last reported, by the database's clock: flushed_at is by its own.
ALTER TABLE usage_nodes ADD COLUMN reported_at timestamptz NOT NULL DEFAULT now();
GRANT UPDATE (reported_at) ON usage_nodes TO primecloud_gateway;
