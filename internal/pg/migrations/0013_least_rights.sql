-- +goose Up
-- Whoever may connect may LISTEN to any channel, and NOTIFY on it, whose name he
-- knows. So the name is a secret: it is random, nobody but the owner reads it, and
-- who is to hear changes calls a function that listens for him
-- (docs/decisions/0028).
CREATE TABLE change_channel (
	one     boolean PRIMARY KEY DEFAULT true CHECK (one),
	channel text NOT NULL DEFAULT 'primecloud_' || replace(gen_random_uuid()::text, '-', '')
);
INSERT INTO change_channel DEFAULT VALUES;
ALTER TABLE change_channel OWNER TO primecloud_owner;

-- Gateways of before listen to the channel primecloud. While one of them reports,
-- it is told there too.
ALTER TABLE usage_nodes ADD COLUMN hears_changes boolean NOT NULL DEFAULT false;

-- +goose StatementBegin
-- The name of the channel is a column in every statement here and never a
-- parameter: debug_print_plan, which any session may switch on, shows it what its
-- triggers' parameters are.
CREATE FUNCTION tell_change(what text) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- A snapshot of before a renewal would have the name that nobody listens to any more.
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'what nodes must hear of is written in READ COMMITTED transactions' USING ERRCODE = 'invalid_transaction_state';
	END IF;
	PERFORM pg_notify(channel, what) FROM public.change_channel;
	IF EXISTS (SELECT FROM public.usage_nodes WHERE closed_at IS NULL AND NOT hears_changes AND reported_at > now() - interval '1 hour') THEN
		PERFORM pg_notify('primecloud', what);
	END IF;
END
$$;

CREATE FUNCTION hear_changes() RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE (SELECT format('LISTEN %I', channel) FROM public.change_channel);
END
$$;

-- For when somebody may know the name. Whoever writes meanwhile waits, and tells
-- under the new name; nodes that hear 'renewed' listen anew.
CREATE FUNCTION renew_change_channel() RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	LOCK TABLE public.change_channel IN ACCESS EXCLUSIVE MODE;
	PERFORM pg_notify(channel, 'renewed') FROM public.change_channel;
	UPDATE public.change_channel SET channel = DEFAULT;
END
$$;

CREATE OR REPLACE FUNCTION notify_tenancy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	r record;
BEGIN
	FOR i IN 1..2 LOOP
		IF i = 1 THEN
			CONTINUE WHEN TG_OP = 'INSERT';
			r := OLD;
		ELSE
			CONTINUE WHEN TG_OP = 'DELETE';
			r := NEW;
		END IF;
		CASE TG_TABLE_NAME
			WHEN 'access_keys' THEN PERFORM public.tell_change('key:' || r.key_id);
			WHEN 'accounts' THEN
				PERFORM public.tell_change('account:' || r.id);
				PERFORM public.tell_change('name:' || r.name);
			WHEN 'buckets' THEN PERFORM public.tell_change('bucket:' || r.account_id || '/' || r.name);
			WHEN 'backends' THEN PERFORM public.tell_change('backend:' || r.id);
			WHEN 'domains' THEN PERFORM public.tell_change('domain:' || r.host);
		END CASE;
	END LOOP;
	RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION notify_limits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	r record := coalesce(NEW, OLD);
BEGIN
	IF TG_TABLE_NAME = 'account_limits' THEN
		PERFORM public.tell_change('account:' || r.account_id);
	ELSE
		PERFORM public.tell_change('key:' || k.key_id) FROM public.access_keys k WHERE k.id = r.key_id;
	END IF;
	RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION notify_bucket_logging() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM public.tell_change('bucket:' || account_id || '/' || name) FROM public.buckets
		WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.bucket_id ELSE NEW.bucket_id END;
	RETURN NULL;
END
$$;

-- Who may DELETE of a table may lock all of it, against readers too; and gateways
-- read this one for every key. So the portal empties its row, which then goes.
CREATE FUNCTION drop_empty_limits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM public.key_limits WHERE key_id = NEW.key_id;
	RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER drop_empty AFTER UPDATE ON key_limits FOR EACH ROW
	WHEN (num_nonnulls(NEW.requests_per_second, NEW.upload_rate, NEW.download_rate, NEW.concurrent, NEW.egress_budget, NEW.requests_budget, NEW.spend_budget) = 0)
	EXECUTE FUNCTION drop_empty_limits();

ALTER FUNCTION tell_change(text) OWNER TO primecloud_owner;
ALTER FUNCTION hear_changes() OWNER TO primecloud_owner;
ALTER FUNCTION renew_change_channel() OWNER TO primecloud_owner;
ALTER FUNCTION drop_empty_limits() OWNER TO primecloud_owner;
-- River's, which its migrations have made for whoever migrated.
ALTER FUNCTION river_job_state_in_bitmask(bit, river_job_state) OWNER TO primecloud_owner;
ALTER TYPE river_job_state OWNER TO primecloud_owner;

-- Functions are for those who need them, also those that are to come.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE primecloud_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hear_changes() TO primecloud_gateway;
GRANT EXECUTE ON FUNCTION current_account() TO primecloud_portal; -- in its policies
GRANT EXECUTE ON FUNCTION river_job_state_in_bitmask(bit, river_job_state) TO primecloud_worker; -- in an index of its jobs

-- +goose StatementBegin
-- Nobody keeps large objects. Without a superuser this does nothing but warn;
-- `primecloud doctor` says what is left.
DO $$
DECLARE
	f regprocedure;
BEGIN
	FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^lo(_.*|read|write)$'
		AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)
	LOOP
		EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
	END LOOP;
END
$$;
-- +goose StatementEnd

-- What no query of a role asks for.
REVOKE SELECT ON usage_seals, usage_hourly, usage_written FROM primecloud_gateway;
REVOKE SELECT ON accounts, account_limits, limit_events, domains FROM primecloud_worker;
REVOKE UPDATE (verified) ON domains FROM primecloud_worker;
REVOKE ALL ON river_notification FROM primecloud_worker;
REVOKE ALL ON SEQUENCE river_notification_id_seq FROM primecloud_worker;
DROP POLICY worker_reads ON accounts;
DROP POLICY worker_reads ON account_limits;
DROP POLICY worker_reads ON limit_events;
DROP POLICY worker_reads ON domains;
DROP POLICY worker_proves ON domains;

-- The portal is told nothing of backends and nodes, and locks no table that
-- gateways read.
REVOKE SELECT ON accounts, buckets, budget_leases, usage_readings, usage_adjustments FROM primecloud_portal;
GRANT SELECT (id, name, display_name, canonical_id, status, created_at, updated_at) ON accounts TO primecloud_portal;
GRANT SELECT (id, account_id, name, state, object_lock, public_blocked, created_at, updated_at) ON buckets TO primecloud_portal;
GRANT SELECT (account_id, key_id, budget, period, granted, used, ledger, final, renewed_at) ON budget_leases TO primecloud_portal;
GRANT SELECT (account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes)
	ON usage_readings TO primecloud_portal;
GRANT SELECT (account_id, bucket_id, key_id, class, hour, seal_hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes, recorded_at)
	ON usage_adjustments TO primecloud_portal;
REVOKE DELETE ON domains FROM primecloud_portal;
REVOKE UPDATE, DELETE ON key_limits FROM primecloud_portal;
GRANT UPDATE (requests_per_second, upload_rate, download_rate, concurrent, egress_budget, requests_budget, spend_budget,
	egress_soft, requests_soft, spend_soft, updated_at) ON key_limits TO primecloud_portal;
