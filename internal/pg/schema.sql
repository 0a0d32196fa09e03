-- The schema after all migrations, for readers. Generated: go test ./internal/pg -run TestSchema -update

CREATE TYPE public.river_job_state AS ENUM (
    'available',
    'cancelled',
    'completed',
    'discarded',
    'pending',
    'retryable',
    'running',
    'scheduled'
);

ALTER TYPE public.river_job_state OWNER TO primecloud_owner;

CREATE FUNCTION public.append_usage_seal() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

ALTER FUNCTION public.append_usage_seal() OWNER TO primecloud_owner;

CREATE FUNCTION public.current_account() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('primecloud.account_id', true), '')::uuid $$;

ALTER FUNCTION public.current_account() OWNER TO primecloud_owner;

CREATE FUNCTION public.drop_empty_limits() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
	DELETE FROM public.key_limits WHERE key_id = NEW.key_id;
	RETURN NULL;
END
$$;

ALTER FUNCTION public.drop_empty_limits() OWNER TO primecloud_owner;

CREATE FUNCTION public.end_access_key() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		INSERT INTO public.ended_keys (id, account_id, key_id) VALUES (OLD.id, OLD.account_id, OLD.key_id) ON CONFLICT DO NOTHING;
		RETURN NULL;
	END IF;
	IF NEW.revoked_at IS NOT NULL THEN
		-- Nobody needs the secret any more: backups from now on do not have it.
		NEW.sealed_secret := '';
		NEW.binding := NULL;
		INSERT INTO public.ended_keys (id, account_id, key_id) VALUES (NEW.id, NEW.account_id, NEW.key_id) ON CONFLICT DO NOTHING;
	ELSIF TG_OP = 'INSERT' AND EXISTS (SELECT FROM public.ended_keys e WHERE e.id = NEW.id) THEN
		RAISE EXCEPTION 'access key % was revoked or deleted: it does not come back', NEW.key_id USING ERRCODE = 'check_violation';
	END IF;
	RETURN NEW;
END
$$;

ALTER FUNCTION public.end_access_key() OWNER TO primecloud_owner;

CREATE FUNCTION public.forget_domains() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
	DELETE FROM public.domains WHERE removed_at IS NOT NULL AND reserved_until <= now();
END
$$;

ALTER FUNCTION public.forget_domains() OWNER TO primecloud_owner;

CREATE FUNCTION public.forget_upload_rules(of_bucket uuid, named uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
	DELETE FROM public.bucket_upload_rules WHERE bucket_id = of_bucket AND version <> named AND created_at < now() - interval '1 hour';
END
$$;

ALTER FUNCTION public.forget_upload_rules(of_bucket uuid, named uuid) OWNER TO primecloud_owner;

CREATE FUNCTION public.guard_domain() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
	until timestamptz;
BEGIN
	IF TG_OP = 'UPDATE' THEN
		IF OLD.removed_at IS NOT NULL AND NEW.removed_at IS DISTINCT FROM OLD.removed_at THEN
			RAISE EXCEPTION 'a removed domain stays removed' USING ERRCODE = 'check_violation';
		END IF;
		IF NEW.removed_at IS NOT NULL AND OLD.removed_at IS NULL THEN
			NEW.removed_at := now();
			NEW.next_check_at := NULL;
			-- A name that was only claimed is not kept from others.
			NEW.reserved_until := CASE WHEN NEW.ownership = 'verified' THEN now() + interval '30 days' ELSE now() END;
		END IF;
		IF NEW.ownership <> 'verified' OR OLD.ownership = 'verified' THEN
			RETURN NEW;
		END IF;
	END IF;
	IF EXISTS (SELECT FROM public.domains WHERE host = NEW.host AND verified AND account_id <> NEW.account_id) THEN
		RAISE EXCEPTION 'another account has proven this host' USING ERRCODE = 'unique_violation', CONSTRAINT = 'domains_held';
	END IF;
	SELECT max(reserved_until) INTO until FROM public.domains WHERE host = NEW.host AND removed_at IS NOT NULL AND account_id <> NEW.account_id;
	IF until > now() THEN
		RAISE EXCEPTION 'this host is reserved' USING ERRCODE = 'unique_violation', CONSTRAINT = 'domains_reserved',
			DETAIL = to_char(until AT TIME ZONE 'UTC', 'YYYY-MM-DD');
	END IF;
	RETURN NEW;
END
$$;

ALTER FUNCTION public.guard_domain() OWNER TO primecloud_owner;

CREATE FUNCTION public.hear_changes() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
	EXECUTE (SELECT format('LISTEN %I', channel) FROM public.change_channel);
END
$$;

ALTER FUNCTION public.hear_changes() OWNER TO primecloud_owner;

CREATE FUNCTION public.keep_ended_keys() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
	RAISE EXCEPTION '% of %: ended access keys are remembered', TG_OP, TG_TABLE_NAME USING ERRCODE = 'check_violation';
END
$$;

ALTER FUNCTION public.keep_ended_keys() OWNER TO primecloud_owner;

CREATE FUNCTION public.keep_revoked() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
	RAISE EXCEPTION 'a revoked access key stays revoked' USING ERRCODE = 'check_violation';
END
$$;

ALTER FUNCTION public.keep_revoked() OWNER TO primecloud_owner;

CREATE FUNCTION public.keep_sealed_usage() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

ALTER FUNCTION public.keep_sealed_usage() OWNER TO primecloud_owner;

CREATE FUNCTION public.keep_usage_growing() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
	RAISE EXCEPTION '% of %: usage only grows', TG_OP, TG_TABLE_NAME USING ERRCODE = 'check_violation';
END
$$;

ALTER FUNCTION public.keep_usage_growing() OWNER TO primecloud_owner;

CREATE FUNCTION public.keep_usage_seals() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
	RAISE EXCEPTION '% of %: a seal stays', TG_OP, TG_TABLE_NAME USING ERRCODE = 'check_violation';
END
$$;

ALTER FUNCTION public.keep_usage_seals() OWNER TO primecloud_owner;

CREATE FUNCTION public.lock_account(account uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
	PERFORM FROM public.accounts WHERE id = account FOR NO KEY UPDATE;
END
$$;

ALTER FUNCTION public.lock_account(account uuid) OWNER TO primecloud_owner;

CREATE FUNCTION public.lock_usage() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'usage is written and sealed in READ COMMITTED transactions' USING ERRCODE = 'invalid_transaction_state';
	END IF;
	LOCK TABLE public.usage_seals IN EXCLUSIVE MODE;
END
$$;

ALTER FUNCTION public.lock_usage() OWNER TO primecloud_owner;

CREATE FUNCTION public.notify_bucket_logging() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
	PERFORM public.tell_change('bucket:' || account_id || '/' || name) FROM public.buckets
		WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.bucket_id ELSE NEW.bucket_id END;
	RETURN NULL;
END
$$;

ALTER FUNCTION public.notify_bucket_logging() OWNER TO primecloud_owner;

CREATE FUNCTION public.notify_limits() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

ALTER FUNCTION public.notify_limits() OWNER TO primecloud_owner;

CREATE FUNCTION public.notify_tenancy() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

ALTER FUNCTION public.notify_tenancy() OWNER TO primecloud_owner;

CREATE FUNCTION public.place_storage_sample() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

ALTER FUNCTION public.place_storage_sample() OWNER TO primecloud_owner;

CREATE FUNCTION public.place_usage_adjustment() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
	NEW.seal_hour := public.usage_open_from();
	NEW.recorded_at := now();
	IF NEW.seal_hour IS NULL OR NEW.hour >= NEW.seal_hour THEN
		RAISE EXCEPTION 'usage of % is not sealed: it needs no adjustment', NEW.hour USING ERRCODE = 'check_violation';
	END IF;
	RETURN NEW;
END
$$;

ALTER FUNCTION public.place_usage_adjustment() OWNER TO primecloud_owner;

CREATE FUNCTION public.remember_deleted_bucket() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
	INSERT INTO public.deleted_buckets (id, account_id, name, created_at)
		VALUES (OLD.id, OLD.account_id, OLD.name, OLD.created_at);
	RETURN NULL;
END
$$;

ALTER FUNCTION public.remember_deleted_bucket() OWNER TO primecloud_owner;

CREATE FUNCTION public.remove_domains() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
	UPDATE public.domains SET removed_at = now() WHERE account_id = NEW.id AND removed_at IS NULL;
	RETURN NULL;
END
$$;

ALTER FUNCTION public.remove_domains() OWNER TO primecloud_owner;

CREATE FUNCTION public.renew_change_channel() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
	LOCK TABLE public.change_channel IN ACCESS EXCLUSIVE MODE;
	PERFORM pg_notify(channel, 'renewed') FROM public.change_channel;
	UPDATE public.change_channel SET channel = DEFAULT;
END
$$;

ALTER FUNCTION public.renew_change_channel() OWNER TO primecloud_owner;

CREATE FUNCTION public.report_keyring(of_process uuid, of_role text, label text, print text, held text[], sealing text, leaves boolean) RETURNS TABLE(fingerprint text, seals text, since timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
	k public.keyring;
BEGIN
	SELECT * INTO k FROM public.keyring FOR SHARE;
	IF leaves OR k.fingerprint IS DISTINCT FROM print THEN
		DELETE FROM public.keyring_holders h WHERE h.process = of_process AND h.role = of_role;
	ELSE
		INSERT INTO public.keyring_holders AS h (process, role, node, keys, seals) VALUES (of_process, of_role, label, held, sealing)
		ON CONFLICT ON CONSTRAINT keyring_holders_pkey DO UPDATE SET node = label, keys = held, seals = sealing, reported_at = now();
		DELETE FROM public.keyring_holders h WHERE h.reported_at < now() - interval '7 days';
	END IF;
	IF k.one THEN
		RETURN QUERY SELECT k.fingerprint, k.seals, k.since;
	END IF;
END
$$;

ALTER FUNCTION public.report_keyring(of_process uuid, of_role text, label text, print text, held text[], sealing text, leaves boolean) OWNER TO primecloud_owner;

CREATE FUNCTION public.river_job_state_in_bitmask(bitmask bit, state public.river_job_state) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE state
        WHEN 'available' THEN get_bit(bitmask, 7)
        WHEN 'cancelled' THEN get_bit(bitmask, 6)
        WHEN 'completed' THEN get_bit(bitmask, 5)
        WHEN 'discarded' THEN get_bit(bitmask, 4)
        WHEN 'pending'   THEN get_bit(bitmask, 3)
        WHEN 'retryable' THEN get_bit(bitmask, 2)
        WHEN 'running'   THEN get_bit(bitmask, 1)
        WHEN 'scheduled' THEN get_bit(bitmask, 0)
        ELSE 0
    END = 1;
$$;

ALTER FUNCTION public.river_job_state_in_bitmask(bitmask bit, state public.river_job_state) OWNER TO primecloud_owner;

CREATE FUNCTION public.tell_change(what text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

ALTER FUNCTION public.tell_change(what text) OWNER TO primecloud_owner;

CREATE FUNCTION public.usage_open_from() RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'usage is written and sealed in READ COMMITTED transactions' USING ERRCODE = 'invalid_transaction_state';
	END IF;
	LOCK TABLE public.usage_seals IN ROW SHARE MODE;
	RETURN (SELECT max(hour) + interval '1 hour' FROM public.usage_seals); -- NULL: nothing is sealed
END
$$;

ALTER FUNCTION public.usage_open_from() OWNER TO primecloud_owner;

CREATE TABLE public.access_keys (
    id uuid NOT NULL,
    key_id text NOT NULL,
    account_id uuid NOT NULL,
    kind text NOT NULL,
    user_id uuid,
    description text DEFAULT ''::text NOT NULL,
    sealed_secret bytea NOT NULL,
    permissions text[] NOT NULL,
    buckets text[],
    prefix text DEFAULT ''::text NOT NULL,
    cidrs cidr[] DEFAULT '{}'::cidr[] NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    successor_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    binding bytea,
    sealed_hash bytea GENERATED ALWAYS AS (sha256(sealed_secret)) STORED,
    CONSTRAINT access_keys_check CHECK (((kind = 's3'::text) OR ((expires_at IS NOT NULL) AND (expires_at <= (created_at + '01:01:00'::interval))))),
    CONSTRAINT access_keys_key_id_check CHECK ((key_id ~ '^[!-~]{3,128}$'::text)),
    CONSTRAINT access_keys_kind_check CHECK ((kind = ANY (ARRAY['s3'::text, 'portal'::text, 'sftp'::text, 'job'::text])))
);

ALTER TABLE ONLY public.access_keys FORCE ROW LEVEL SECURITY;

ALTER TABLE public.access_keys OWNER TO primecloud_owner;

CREATE TABLE public.account_limits (
    account_id uuid NOT NULL,
    requests_per_second bigint,
    upload_rate bigint,
    download_rate bigint,
    concurrent bigint,
    storage_budget bigint,
    egress_budget bigint,
    requests_budget bigint,
    spend_budget bigint,
    storage_soft boolean DEFAULT false NOT NULL,
    egress_soft boolean DEFAULT false NOT NULL,
    requests_soft boolean DEFAULT false NOT NULL,
    spend_soft boolean DEFAULT false NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    buckets bigint,
    CONSTRAINT account_limits_buckets_check CHECK ((buckets > 0)),
    CONSTRAINT account_limits_concurrent_check CHECK ((concurrent > 0)),
    CONSTRAINT account_limits_download_rate_check CHECK ((download_rate > 0)),
    CONSTRAINT account_limits_egress_budget_check CHECK ((egress_budget >= 0)),
    CONSTRAINT account_limits_requests_budget_check CHECK ((requests_budget >= 0)),
    CONSTRAINT account_limits_requests_per_second_check CHECK ((requests_per_second > 0)),
    CONSTRAINT account_limits_spend_budget_check CHECK ((spend_budget >= 0)),
    CONSTRAINT account_limits_storage_budget_check CHECK ((storage_budget >= 0)),
    CONSTRAINT account_limits_upload_rate_check CHECK ((upload_rate > 0))
);

ALTER TABLE ONLY public.account_limits FORCE ROW LEVEL SECURITY;

ALTER TABLE public.account_limits OWNER TO primecloud_owner;

CREATE TABLE public.accounts (
    id uuid NOT NULL,
    name text NOT NULL,
    display_name text NOT NULL,
    canonical_id text NOT NULL,
    status text NOT NULL,
    backend_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT accounts_canonical_id_check CHECK ((canonical_id ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT accounts_name_check CHECK ((name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'::text)),
    CONSTRAINT accounts_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'active'::text, 'read_only'::text, 'suspended'::text, 'closed'::text, 'rejected'::text])))
);

ALTER TABLE ONLY public.accounts FORCE ROW LEVEL SECURITY;

ALTER TABLE public.accounts OWNER TO primecloud_owner;

CREATE TABLE public.backends (
    id uuid NOT NULL,
    name text NOT NULL,
    endpoints text[] NOT NULL,
    region text NOT NULL,
    ca text DEFAULT ''::text NOT NULL,
    sealed_credential bytea NOT NULL,
    is_default boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    kind text DEFAULT 'minio'::text NOT NULL,
    binding bytea,
    CONSTRAINT backends_endpoints_check CHECK ((cardinality(endpoints) > 0)),
    CONSTRAINT backends_kind_check CHECK ((kind = ANY (ARRAY['minio'::text, 's3'::text]))),
    CONSTRAINT backends_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text))
);

ALTER TABLE public.backends OWNER TO primecloud_owner;

CREATE TABLE public.bucket_logging (
    bucket_id uuid NOT NULL,
    target_name text NOT NULL,
    target_prefix text NOT NULL,
    key_format text NOT NULL,
    enabled_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bucket_logging_key_format_check CHECK ((key_format = ANY (ARRAY[''::text, 'simple'::text, 'event-time'::text, 'delivery-time'::text]))),
    CONSTRAINT bucket_logging_target_name_check CHECK (((length(target_name) >= 3) AND (length(target_name) <= 63))),
    CONSTRAINT bucket_logging_target_prefix_check CHECK ((octet_length(target_prefix) <= 512))
);

ALTER TABLE ONLY public.bucket_logging FORCE ROW LEVEL SECURITY;

ALTER TABLE public.bucket_logging OWNER TO primecloud_owner;

CREATE TABLE public.bucket_upload_rules (
    bucket_id uuid NOT NULL,
    version uuid NOT NULL,
    "position" integer NOT NULL,
    rule_id text NOT NULL,
    enabled boolean NOT NULL,
    filter text NOT NULL,
    prefix text NOT NULL,
    days integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bucket_upload_rules_days_check CHECK ((days > 0)),
    CONSTRAINT bucket_upload_rules_filter_check CHECK ((filter = ANY (ARRAY[''::text, 'Prefix'::text, 'Filter'::text, 'Filter/Prefix'::text]))),
    CONSTRAINT bucket_upload_rules_position_check CHECK ((("position" >= 0) AND ("position" <= 999))),
    CONSTRAINT bucket_upload_rules_prefix_check CHECK ((octet_length(prefix) <= 1024)),
    CONSTRAINT bucket_upload_rules_rule_id_check CHECK (((length(rule_id) >= 1) AND (length(rule_id) <= 255)))
);

ALTER TABLE ONLY public.bucket_upload_rules FORCE ROW LEVEL SECURITY;

ALTER TABLE public.bucket_upload_rules OWNER TO primecloud_owner;

CREATE TABLE public.buckets (
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    backend_id uuid NOT NULL,
    backend_name text NOT NULL,
    state text NOT NULL,
    object_lock boolean DEFAULT false NOT NULL,
    public_blocked boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT buckets_backend_name_check CHECK (((length(backend_name) >= 3) AND (length(backend_name) <= 63))),
    CONSTRAINT buckets_name_check CHECK (((length(name) >= 3) AND (length(name) <= 63))),
    CONSTRAINT buckets_state_check CHECK ((state = ANY (ARRAY['creating'::text, 'active'::text, 'deleting'::text])))
);

ALTER TABLE ONLY public.buckets FORCE ROW LEVEL SECURITY;

ALTER TABLE public.buckets OWNER TO primecloud_owner;

CREATE TABLE public.budget_leases (
    account_id uuid NOT NULL,
    key_id uuid NOT NULL,
    budget text NOT NULL,
    period timestamp with time zone NOT NULL,
    epoch uuid NOT NULL,
    granted bigint DEFAULT 0 NOT NULL,
    used bigint DEFAULT 0 NOT NULL,
    ledger bigint DEFAULT 0 NOT NULL,
    final boolean DEFAULT false NOT NULL,
    read_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    renewed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT budget_leases_budget_check CHECK ((budget = ANY (ARRAY['storage'::text, 'egress'::text, 'requests'::text, 'spend'::text]))),
    CONSTRAINT budget_leases_granted_check CHECK ((granted >= 0))
);

ALTER TABLE ONLY public.budget_leases FORCE ROW LEVEL SECURITY;

ALTER TABLE public.budget_leases OWNER TO primecloud_owner;

CREATE TABLE public.change_channel (
    one boolean DEFAULT true NOT NULL,
    channel text DEFAULT ('primecloud_'::text || replace((gen_random_uuid())::text, '-'::text, ''::text)) NOT NULL,
    CONSTRAINT change_channel_one_check CHECK (one)
);

ALTER TABLE public.change_channel OWNER TO primecloud_owner;

CREATE TABLE public.deleted_buckets (
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.deleted_buckets FORCE ROW LEVEL SECURITY;

ALTER TABLE public.deleted_buckets OWNER TO primecloud_owner;

CREATE TABLE public.domains (
    host text NOT NULL,
    account_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    purpose text DEFAULT 's3'::text NOT NULL,
    bucket text,
    token text DEFAULT replace((gen_random_uuid())::text, '-'::text, ''::text) NOT NULL,
    ownership text DEFAULT 'pending'::text NOT NULL,
    ownership_reason text DEFAULT ''::text NOT NULL,
    ownership_found jsonb DEFAULT '[]'::jsonb NOT NULL,
    dns text DEFAULT 'unknown'::text NOT NULL,
    dns_reason text DEFAULT ''::text NOT NULL,
    dns_found jsonb DEFAULT '[]'::jsonb NOT NULL,
    certificate text DEFAULT 'none'::text NOT NULL,
    certificate_reason text DEFAULT ''::text NOT NULL,
    certificate_at timestamp with time zone,
    check_error text DEFAULT ''::text NOT NULL,
    checked_at timestamp with time zone,
    next_check_at timestamp with time zone DEFAULT now(),
    failing_since timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    verified_at timestamp with time zone,
    removed_at timestamp with time zone,
    reserved_until timestamp with time zone,
    verified boolean GENERATED ALWAYS AS (((ownership = 'verified'::text) AND (removed_at IS NULL))) STORED NOT NULL,
    CONSTRAINT domains_certificate_check CHECK ((certificate = ANY (ARRAY['none'::text, 'issuing'::text, 'active'::text, 'failed'::text, 'expiring'::text]))),
    CONSTRAINT domains_check CHECK (((bucket IS NOT NULL) = (purpose = 'website'::text))),
    CONSTRAINT domains_dns_check CHECK ((dns = ANY (ARRAY['unknown'::text, 'ok'::text, 'missing'::text, 'wrong'::text, 'proxied'::text]))),
    CONSTRAINT domains_host_check CHECK (((host = lower(host)) AND ((length(host) >= 1) AND (length(host) <= 253)))),
    CONSTRAINT domains_ownership_check CHECK ((ownership = ANY (ARRAY['pending'::text, 'verified'::text, 'failed'::text, 'lost'::text]))),
    CONSTRAINT domains_purpose_check CHECK ((purpose = ANY (ARRAY['s3'::text, 'website'::text, 'portal'::text])))
);

ALTER TABLE ONLY public.domains FORCE ROW LEVEL SECURITY;

ALTER TABLE public.domains OWNER TO primecloud_owner;

CREATE TABLE public.ended_keys (
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    key_id text NOT NULL,
    ended_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.ended_keys FORCE ROW LEVEL SECURITY;

ALTER TABLE public.ended_keys OWNER TO primecloud_owner;

CREATE TABLE public.key_limits (
    key_id uuid NOT NULL,
    account_id uuid NOT NULL,
    requests_per_second bigint,
    upload_rate bigint,
    download_rate bigint,
    concurrent bigint,
    egress_budget bigint,
    requests_budget bigint,
    spend_budget bigint,
    egress_soft boolean DEFAULT false NOT NULL,
    requests_soft boolean DEFAULT false NOT NULL,
    spend_soft boolean DEFAULT false NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT key_limits_concurrent_check CHECK ((concurrent > 0)),
    CONSTRAINT key_limits_download_rate_check CHECK ((download_rate > 0)),
    CONSTRAINT key_limits_egress_budget_check CHECK ((egress_budget >= 0)),
    CONSTRAINT key_limits_requests_budget_check CHECK ((requests_budget >= 0)),
    CONSTRAINT key_limits_requests_per_second_check CHECK ((requests_per_second > 0)),
    CONSTRAINT key_limits_spend_budget_check CHECK ((spend_budget >= 0)),
    CONSTRAINT key_limits_upload_rate_check CHECK ((upload_rate > 0))
);

ALTER TABLE ONLY public.key_limits FORCE ROW LEVEL SECURITY;

ALTER TABLE public.key_limits OWNER TO primecloud_owner;

CREATE TABLE public.keyring (
    one boolean DEFAULT true NOT NULL,
    fingerprint text NOT NULL,
    seals text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT keyring_fingerprint_check CHECK ((fingerprint ~ '^[0-9a-f]{16}$'::text)),
    CONSTRAINT keyring_one_check CHECK (one),
    CONSTRAINT keyring_seals_check CHECK (((length(seals) >= 1) AND (length(seals) <= 64)))
);

ALTER TABLE public.keyring OWNER TO primecloud_owner;

CREATE TABLE public.keyring_holders (
    process uuid NOT NULL,
    role text NOT NULL,
    node text NOT NULL,
    keys text[] NOT NULL,
    seals text NOT NULL,
    reported_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT keyring_holders_keys_check CHECK (((cardinality(keys) >= 1) AND (cardinality(keys) <= 1000))),
    CONSTRAINT keyring_holders_node_check CHECK ((length(node) <= 255)),
    CONSTRAINT keyring_holders_role_check CHECK (((length(role) >= 1) AND (length(role) <= 64))),
    CONSTRAINT keyring_holders_seals_check CHECK (((length(seals) >= 1) AND (length(seals) <= 64)))
);

ALTER TABLE public.keyring_holders OWNER TO primecloud_owner;

CREATE TABLE public.usage_nodes (
    epoch uuid NOT NULL,
    node text NOT NULL,
    flushed_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    writer uuid,
    contested_at timestamp with time zone,
    reported_at timestamp with time zone DEFAULT now() NOT NULL,
    hears_changes boolean DEFAULT false NOT NULL
);

ALTER TABLE public.usage_nodes OWNER TO primecloud_owner;

CREATE VIEW public.keyring_members AS
 SELECT keyring_holders.role,
    keyring_holders.node,
    keyring_holders.keys,
    keyring_holders.seals,
    keyring_holders.reported_at
   FROM public.keyring_holders
UNION ALL
 SELECT 'gateway'::text AS role,
    n.node,
    '{}'::text[] AS keys,
    ''::text AS seals,
    n.reported_at
   FROM public.usage_nodes n
  WHERE ((n.closed_at IS NULL) AND (n.reported_at > (now() - '00:01:00'::interval)) AND (NOT (EXISTS ( SELECT
           FROM public.keyring_holders h
          WHERE ((h.node = n.node) AND (h.role = 'gateway'::text) AND (h.reported_at > (now() - '00:01:00'::interval)))))));

ALTER TABLE public.keyring_members OWNER TO primecloud_owner;

CREATE TABLE public.limit_events (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    account_id uuid NOT NULL,
    key_id uuid NOT NULL,
    budget text NOT NULL,
    month timestamp with time zone NOT NULL,
    threshold smallint NOT NULL,
    used bigint NOT NULL,
    budgeted bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT limit_events_budget_check CHECK ((budget = ANY (ARRAY['storage'::text, 'egress'::text, 'requests'::text, 'spend'::text]))),
    CONSTRAINT limit_events_threshold_check CHECK ((threshold = ANY (ARRAY[50, 80, 95, 100])))
);

ALTER TABLE ONLY public.limit_events FORCE ROW LEVEL SECURITY;

ALTER TABLE public.limit_events OWNER TO primecloud_owner;

CREATE TABLE public.rate_cards (
    id uuid NOT NULL,
    account_id uuid,
    valid_from timestamp with time zone NOT NULL,
    currency text NOT NULL,
    egress_gb bigint NOT NULL,
    ingress_gb bigint NOT NULL,
    thousand_a bigint NOT NULL,
    thousand_b bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT rate_cards_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT rate_cards_egress_gb_check CHECK ((egress_gb >= 0)),
    CONSTRAINT rate_cards_ingress_gb_check CHECK ((ingress_gb >= 0)),
    CONSTRAINT rate_cards_thousand_a_check CHECK ((thousand_a >= 0)),
    CONSTRAINT rate_cards_thousand_b_check CHECK ((thousand_b >= 0)),
    CONSTRAINT rate_cards_valid_from_check CHECK ((valid_from = date_trunc('hour'::text, valid_from, 'UTC'::text)))
);

ALTER TABLE ONLY public.rate_cards FORCE ROW LEVEL SECURITY;

ALTER TABLE public.rate_cards OWNER TO primecloud_owner;

CREATE TABLE public.river_job (
    id bigint NOT NULL,
    state public.river_job_state DEFAULT 'available'::public.river_job_state NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    max_attempts smallint DEFAULT 25 NOT NULL,
    attempted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finalized_at timestamp with time zone,
    scheduled_at timestamp with time zone DEFAULT now() NOT NULL,
    priority smallint DEFAULT 1 NOT NULL,
    args jsonb NOT NULL,
    attempted_by text[],
    errors jsonb[],
    kind text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    queue text DEFAULT 'default'::text NOT NULL,
    tags character varying(255)[] DEFAULT '{}'::character varying[] NOT NULL,
    unique_key bytea,
    unique_states bit(8),
    CONSTRAINT finalized_or_finalized_at_null CHECK ((((finalized_at IS NULL) AND (state <> ALL (ARRAY['cancelled'::public.river_job_state, 'completed'::public.river_job_state, 'discarded'::public.river_job_state]))) OR ((finalized_at IS NOT NULL) AND (state = ANY (ARRAY['cancelled'::public.river_job_state, 'completed'::public.river_job_state, 'discarded'::public.river_job_state]))))),
    CONSTRAINT kind_length CHECK (((char_length(kind) > 0) AND (char_length(kind) < 128))),
    CONSTRAINT max_attempts_is_positive CHECK ((max_attempts > 0)),
    CONSTRAINT priority_in_range CHECK (((priority >= 1) AND (priority <= 4))),
    CONSTRAINT queue_length CHECK (((char_length(queue) > 0) AND (char_length(queue) < 128)))
);

ALTER TABLE public.river_job OWNER TO primecloud_owner;

CREATE SEQUENCE public.river_job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.river_job_id_seq OWNER TO primecloud_owner;

ALTER SEQUENCE public.river_job_id_seq OWNED BY public.river_job.id;

CREATE UNLOGGED TABLE public.river_leader (
    elected_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    leader_id text NOT NULL,
    name text DEFAULT 'default'::text NOT NULL,
    CONSTRAINT leader_id_length CHECK (((char_length(leader_id) > 0) AND (char_length(leader_id) < 128))),
    CONSTRAINT name_length CHECK ((name = 'default'::text))
);

ALTER TABLE public.river_leader OWNER TO primecloud_owner;

CREATE TABLE public.river_migration (
    line text NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT line_length CHECK (((char_length(line) > 0) AND (char_length(line) < 128))),
    CONSTRAINT version_gte_1 CHECK ((version >= 1))
);

ALTER TABLE public.river_migration OWNER TO primecloud_owner;

CREATE TABLE public.river_notification (
    id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (((length(topic) > 0) AND (length(topic) < 128)))
);

ALTER TABLE public.river_notification OWNER TO primecloud_owner;

CREATE SEQUENCE public.river_notification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.river_notification_id_seq OWNER TO primecloud_owner;

ALTER SEQUENCE public.river_notification_id_seq OWNED BY public.river_notification.id;

CREATE TABLE public.river_queue (
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    paused_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);

ALTER TABLE public.river_queue OWNER TO primecloud_owner;

CREATE VIEW public.schema_version AS
 SELECT max(goose_db_version.version_id) AS version
   FROM public.goose_db_version
  WHERE goose_db_version.is_applied;

ALTER TABLE public.schema_version OWNER TO primecloud_owner;

CREATE TABLE public.storage_delivered (
    bucket_id uuid NOT NULL,
    account_id uuid NOT NULL,
    measured_at timestamp with time zone NOT NULL,
    bytes bigint NOT NULL,
    CONSTRAINT storage_delivered_bytes_check CHECK ((bytes >= 0))
);

ALTER TABLE ONLY public.storage_delivered FORCE ROW LEVEL SECURITY;

ALTER TABLE public.storage_delivered OWNER TO primecloud_owner;

CREATE TABLE public.storage_gaps (
    bucket_id uuid NOT NULL,
    hour timestamp with time zone NOT NULL,
    account_id uuid NOT NULL,
    error text NOT NULL,
    failed_at timestamp with time zone NOT NULL,
    CONSTRAINT storage_gaps_hour_check CHECK ((hour = date_trunc('hour'::text, hour, 'UTC'::text)))
);

ALTER TABLE ONLY public.storage_gaps FORCE ROW LEVEL SECURITY;

ALTER TABLE public.storage_gaps OWNER TO primecloud_owner;

CREATE TABLE public.storage_listings (
    bucket_id uuid NOT NULL,
    holder uuid NOT NULL,
    held_until timestamp with time zone NOT NULL,
    started_at timestamp with time zone NOT NULL,
    hours timestamp with time zone[] NOT NULL,
    marker bytea NOT NULL,
    current_bytes bigint NOT NULL,
    noncurrent_bytes bigint NOT NULL,
    objects bigint NOT NULL,
    noncurrent_versions bigint NOT NULL,
    delete_markers bigint NOT NULL,
    delivered_bytes bigint DEFAULT 0 NOT NULL
);

ALTER TABLE public.storage_listings OWNER TO primecloud_owner;

CREATE TABLE public.storage_samples (
    bucket_id uuid NOT NULL,
    hour timestamp with time zone NOT NULL,
    account_id uuid NOT NULL,
    current_bytes bigint NOT NULL,
    noncurrent_bytes bigint NOT NULL,
    incomplete_bytes bigint NOT NULL,
    objects bigint NOT NULL,
    noncurrent_versions bigint NOT NULL,
    delete_markers bigint NOT NULL,
    uploads bigint NOT NULL,
    source text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    measured_at timestamp with time zone NOT NULL,
    seal_hour timestamp with time zone NOT NULL,
    CONSTRAINT storage_samples_check CHECK ((measured_at >= started_at)),
    CONSTRAINT storage_samples_current_bytes_check CHECK ((current_bytes >= 0)),
    CONSTRAINT storage_samples_delete_markers_check CHECK ((delete_markers >= 0)),
    CONSTRAINT storage_samples_hour_check CHECK ((hour = date_trunc('hour'::text, hour, 'UTC'::text))),
    CONSTRAINT storage_samples_incomplete_bytes_check CHECK ((incomplete_bytes >= 0)),
    CONSTRAINT storage_samples_noncurrent_bytes_check CHECK ((noncurrent_bytes >= 0)),
    CONSTRAINT storage_samples_noncurrent_versions_check CHECK ((noncurrent_versions >= 0)),
    CONSTRAINT storage_samples_objects_check CHECK ((objects >= 0)),
    CONSTRAINT storage_samples_source_check CHECK ((source = ANY (ARRAY['listing'::text, 'metrics'::text]))),
    CONSTRAINT storage_samples_uploads_check CHECK ((uploads >= 0))
);

ALTER TABLE ONLY public.storage_samples FORCE ROW LEVEL SECURITY;

ALTER TABLE public.storage_samples OWNER TO primecloud_owner;

CREATE TABLE public.storage_uploads (
    bucket_id uuid NOT NULL,
    upload_id text NOT NULL COLLATE pg_catalog."C",
    key bytea NOT NULL,
    initiated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.storage_uploads OWNER TO primecloud_owner;

CREATE TABLE public.usage_adjustments (
    epoch uuid NOT NULL,
    account_id uuid NOT NULL,
    bucket_id uuid NOT NULL,
    key_id uuid NOT NULL,
    class text NOT NULL,
    hour timestamp with time zone NOT NULL,
    seal_hour timestamp with time zone NOT NULL,
    requests bigint NOT NULL,
    ingress_bytes bigint NOT NULL,
    egress_bytes bigint NOT NULL,
    declared_ingress_bytes bigint NOT NULL,
    declared_egress_bytes bigint NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT usage_adjustments_check CHECK (((seal_hour = date_trunc('hour'::text, seal_hour, 'UTC'::text)) AND (seal_hour > hour))),
    CONSTRAINT usage_adjustments_class_check CHECK ((class = ANY (ARRAY['A'::text, 'B'::text, 'free'::text, 'unbilled'::text]))),
    CONSTRAINT usage_adjustments_declared_egress_bytes_check CHECK ((declared_egress_bytes >= 0)),
    CONSTRAINT usage_adjustments_declared_ingress_bytes_check CHECK ((declared_ingress_bytes >= 0)),
    CONSTRAINT usage_adjustments_egress_bytes_check CHECK ((egress_bytes >= 0)),
    CONSTRAINT usage_adjustments_hour_check CHECK ((hour = date_trunc('hour'::text, hour, 'UTC'::text))),
    CONSTRAINT usage_adjustments_ingress_bytes_check CHECK ((ingress_bytes >= 0)),
    CONSTRAINT usage_adjustments_requests_check CHECK ((requests >= 0))
);

ALTER TABLE ONLY public.usage_adjustments FORCE ROW LEVEL SECURITY;

ALTER TABLE public.usage_adjustments OWNER TO primecloud_owner;

CREATE TABLE public.usage_readings (
    epoch uuid NOT NULL,
    account_id uuid NOT NULL,
    bucket_id uuid NOT NULL,
    key_id uuid NOT NULL,
    class text NOT NULL,
    hour timestamp with time zone NOT NULL,
    requests bigint NOT NULL,
    ingress_bytes bigint NOT NULL,
    egress_bytes bigint NOT NULL,
    declared_ingress_bytes bigint NOT NULL,
    declared_egress_bytes bigint NOT NULL,
    read_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT usage_readings_class_check CHECK ((class = ANY (ARRAY['A'::text, 'B'::text, 'free'::text, 'unbilled'::text]))),
    CONSTRAINT usage_readings_declared_egress_bytes_check CHECK ((declared_egress_bytes >= 0)),
    CONSTRAINT usage_readings_declared_ingress_bytes_check CHECK ((declared_ingress_bytes >= 0)),
    CONSTRAINT usage_readings_egress_bytes_check CHECK ((egress_bytes >= 0)),
    CONSTRAINT usage_readings_hour_check CHECK ((hour = date_trunc('hour'::text, hour, 'UTC'::text))),
    CONSTRAINT usage_readings_ingress_bytes_check CHECK ((ingress_bytes >= 0)),
    CONSTRAINT usage_readings_requests_check CHECK ((requests >= 0))
);

ALTER TABLE ONLY public.usage_readings FORCE ROW LEVEL SECURITY;

ALTER TABLE public.usage_readings OWNER TO primecloud_owner;

CREATE VIEW public.usage_hourly WITH (security_invoker='true') AS
 SELECT written.account_id,
    written.bucket_id,
    written.key_id,
    written.class,
    written.hour,
    (sum(written.requests))::bigint AS requests,
    (sum(written.ingress_bytes))::bigint AS ingress_bytes,
    (sum(written.egress_bytes))::bigint AS egress_bytes,
    (sum(written.declared_ingress_bytes))::bigint AS declared_ingress_bytes,
    (sum(written.declared_egress_bytes))::bigint AS declared_egress_bytes,
    (COALESCE(sum(written.requests) FILTER (WHERE written.late), (0)::numeric))::bigint AS adjusted_requests,
    (COALESCE(sum(written.ingress_bytes) FILTER (WHERE written.late), (0)::numeric))::bigint AS adjusted_ingress_bytes,
    (COALESCE(sum(written.egress_bytes) FILTER (WHERE written.late), (0)::numeric))::bigint AS adjusted_egress_bytes
   FROM ( SELECT usage_readings.account_id,
            usage_readings.bucket_id,
            usage_readings.key_id,
            usage_readings.class,
            usage_readings.hour,
            usage_readings.requests,
            usage_readings.ingress_bytes,
            usage_readings.egress_bytes,
            usage_readings.declared_ingress_bytes,
            usage_readings.declared_egress_bytes,
            false AS late
           FROM public.usage_readings
        UNION ALL
         SELECT usage_adjustments.account_id,
            usage_adjustments.bucket_id,
            usage_adjustments.key_id,
            usage_adjustments.class,
            usage_adjustments.hour,
            usage_adjustments.requests,
            usage_adjustments.ingress_bytes,
            usage_adjustments.egress_bytes,
            usage_adjustments.declared_ingress_bytes,
            usage_adjustments.declared_egress_bytes,
            true
           FROM public.usage_adjustments) written
  GROUP BY written.account_id, written.bucket_id, written.key_id, written.class, written.hour;

ALTER TABLE public.usage_hourly OWNER TO primecloud_owner;

CREATE TABLE public.usage_seals (
    hour timestamp with time zone NOT NULL,
    rows bigint NOT NULL,
    adjustments bigint NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    key_id text NOT NULL,
    hmac bytea NOT NULL,
    sealed_at timestamp with time zone NOT NULL,
    samples bigint,
    CONSTRAINT usage_seals_adjustments_check CHECK ((adjustments >= 0)),
    CONSTRAINT usage_seals_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT usage_seals_hour_check CHECK ((hour = date_trunc('hour'::text, hour, 'UTC'::text))),
    CONSTRAINT usage_seals_previous_check CHECK ((length(previous) = 32)),
    CONSTRAINT usage_seals_rows_check CHECK ((rows >= 0)),
    CONSTRAINT usage_seals_samples_check CHECK ((samples >= 0))
);

ALTER TABLE public.usage_seals OWNER TO primecloud_owner;

CREATE VIEW public.usage_written WITH (security_invoker='true') AS
 SELECT r.account_id,
    r.bucket_id,
    r.key_id,
    r.class,
    r.hour,
    r.requests,
    r.ingress_bytes,
    r.egress_bytes,
    r.declared_ingress_bytes,
    r.declared_egress_bytes,
    false AS late,
    (EXISTS ( SELECT
           FROM public.usage_seals s
          WHERE (s.hour = r.hour))) AS sealed
   FROM public.usage_readings r
UNION ALL
 SELECT a.account_id,
    a.bucket_id,
    a.key_id,
    a.class,
    a.hour,
    a.requests,
    a.ingress_bytes,
    a.egress_bytes,
    a.declared_ingress_bytes,
    a.declared_egress_bytes,
    true AS late,
    (EXISTS ( SELECT
           FROM public.usage_seals s
          WHERE (s.hour = a.seal_hour))) AS sealed
   FROM public.usage_adjustments a;

ALTER TABLE public.usage_written OWNER TO primecloud_owner;

ALTER TABLE ONLY public.river_job ALTER COLUMN id SET DEFAULT nextval('public.river_job_id_seq'::regclass);

ALTER TABLE ONLY public.river_notification ALTER COLUMN id SET DEFAULT nextval('public.river_notification_id_seq'::regclass);

ALTER TABLE ONLY public.access_keys
    ADD CONSTRAINT access_keys_account_id_id_key UNIQUE (account_id, id);

ALTER TABLE ONLY public.access_keys
    ADD CONSTRAINT access_keys_key_id_key UNIQUE (key_id);

ALTER TABLE ONLY public.access_keys
    ADD CONSTRAINT access_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.account_limits
    ADD CONSTRAINT account_limits_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_canonical_id_key UNIQUE (canonical_id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_name_key UNIQUE (name);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.backends
    ADD CONSTRAINT backends_name_key UNIQUE (name);

ALTER TABLE ONLY public.backends
    ADD CONSTRAINT backends_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.bucket_logging
    ADD CONSTRAINT bucket_logging_pkey PRIMARY KEY (bucket_id);

ALTER TABLE ONLY public.bucket_upload_rules
    ADD CONSTRAINT bucket_upload_rules_pkey PRIMARY KEY (bucket_id, version, "position");

ALTER TABLE ONLY public.buckets
    ADD CONSTRAINT buckets_account_id_name_key UNIQUE (account_id, name);

ALTER TABLE ONLY public.buckets
    ADD CONSTRAINT buckets_backend_id_backend_name_key UNIQUE (backend_id, backend_name);

ALTER TABLE ONLY public.buckets
    ADD CONSTRAINT buckets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.budget_leases
    ADD CONSTRAINT budget_leases_pkey PRIMARY KEY (account_id, key_id, budget, period, epoch);

ALTER TABLE ONLY public.change_channel
    ADD CONSTRAINT change_channel_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.deleted_buckets
    ADD CONSTRAINT deleted_buckets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.domains
    ADD CONSTRAINT domains_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ended_keys
    ADD CONSTRAINT ended_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.key_limits
    ADD CONSTRAINT key_limits_pkey PRIMARY KEY (key_id);

ALTER TABLE ONLY public.keyring_holders
    ADD CONSTRAINT keyring_holders_pkey PRIMARY KEY (process, role);

ALTER TABLE ONLY public.keyring
    ADD CONSTRAINT keyring_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.limit_events
    ADD CONSTRAINT limit_events_account_id_key_id_budget_month_threshold_key UNIQUE (account_id, key_id, budget, month, threshold);

ALTER TABLE ONLY public.limit_events
    ADD CONSTRAINT limit_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rate_cards
    ADD CONSTRAINT rate_cards_account_id_valid_from_key UNIQUE NULLS NOT DISTINCT (account_id, valid_from);

ALTER TABLE ONLY public.rate_cards
    ADD CONSTRAINT rate_cards_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.river_job
    ADD CONSTRAINT river_job_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.river_leader
    ADD CONSTRAINT river_leader_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.river_migration
    ADD CONSTRAINT river_migration_pkey1 PRIMARY KEY (line, version);

ALTER TABLE ONLY public.river_notification
    ADD CONSTRAINT river_notification_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.river_queue
    ADD CONSTRAINT river_queue_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.storage_delivered
    ADD CONSTRAINT storage_delivered_pkey PRIMARY KEY (bucket_id);

ALTER TABLE ONLY public.storage_gaps
    ADD CONSTRAINT storage_gaps_pkey PRIMARY KEY (bucket_id, hour);

ALTER TABLE ONLY public.storage_listings
    ADD CONSTRAINT storage_listings_pkey PRIMARY KEY (bucket_id);

ALTER TABLE ONLY public.storage_samples
    ADD CONSTRAINT storage_samples_pkey PRIMARY KEY (bucket_id, hour);

ALTER TABLE ONLY public.storage_uploads
    ADD CONSTRAINT storage_uploads_pkey PRIMARY KEY (bucket_id, upload_id);

ALTER TABLE ONLY public.usage_adjustments
    ADD CONSTRAINT usage_adjustments_pkey PRIMARY KEY (epoch, account_id, bucket_id, key_id, class, hour, seal_hour);

ALTER TABLE ONLY public.usage_nodes
    ADD CONSTRAINT usage_nodes_pkey PRIMARY KEY (epoch);

ALTER TABLE ONLY public.usage_readings
    ADD CONSTRAINT usage_readings_pkey PRIMARY KEY (epoch, account_id, bucket_id, key_id, class, hour);

ALTER TABLE ONLY public.usage_seals
    ADD CONSTRAINT usage_seals_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.usage_seals
    ADD CONSTRAINT usage_seals_pkey PRIMARY KEY (hour);

ALTER TABLE ONLY public.usage_seals
    ADD CONSTRAINT usage_seals_previous_key UNIQUE (previous);

CREATE INDEX access_keys_account ON public.access_keys USING btree (account_id, created_at);

CREATE UNIQUE INDEX backends_one_default ON public.backends USING btree (is_default) WHERE is_default;

CREATE INDEX buckets_unsettled ON public.buckets USING btree (updated_at) WHERE (state <> 'active'::text);

CREATE INDEX budget_leases_period ON public.budget_leases USING btree (period);

CREATE INDEX deleted_buckets_account ON public.deleted_buckets USING btree (account_id);

CREATE UNIQUE INDEX domains_claimed ON public.domains USING btree (account_id, host) WHERE (removed_at IS NULL);

CREATE INDEX domains_due ON public.domains USING btree (next_check_at) WHERE (removed_at IS NULL);

CREATE INDEX domains_removed ON public.domains USING btree (host) WHERE (removed_at IS NOT NULL);

CREATE UNIQUE INDEX domains_verified ON public.domains USING btree (host) WHERE verified;

CREATE INDEX ended_keys_at ON public.ended_keys USING btree (ended_at);

CREATE INDEX river_job_args_index ON public.river_job USING gin (args);

CREATE INDEX river_job_kind ON public.river_job USING btree (kind);

CREATE INDEX river_job_metadata_index ON public.river_job USING gin (metadata);

CREATE INDEX river_job_prioritized_fetching_index ON public.river_job USING btree (state, queue, priority, scheduled_at, id);

CREATE INDEX river_job_state_and_finalized_at_index ON public.river_job USING btree (state, finalized_at) WHERE (finalized_at IS NOT NULL);

CREATE UNIQUE INDEX river_job_unique_idx ON public.river_job USING btree (unique_key) WHERE ((unique_key IS NOT NULL) AND (unique_states IS NOT NULL) AND public.river_job_state_in_bitmask(unique_states, state));

CREATE INDEX river_notification_created_at_idx ON public.river_notification USING btree (created_at);

CREATE INDEX river_notification_topic_id_idx ON public.river_notification USING btree (topic, id);

CREATE INDEX storage_samples_account ON public.storage_samples USING btree (account_id, hour);

CREATE INDEX storage_samples_seal ON public.storage_samples USING brin (seal_hour) WITH (pages_per_range='16', autosummarize='on');

CREATE INDEX usage_adjustments_account ON public.usage_adjustments USING btree (account_id, hour);

CREATE INDEX usage_adjustments_seal ON public.usage_adjustments USING btree (seal_hour);

CREATE INDEX usage_readings_account ON public.usage_readings USING btree (account_id, hour);

CREATE INDEX usage_readings_hour ON public.usage_readings USING brin (hour) WITH (pages_per_range='16', autosummarize='on');

CREATE TRIGGER append_seal BEFORE INSERT ON public.usage_seals FOR EACH ROW EXECUTE FUNCTION public.append_usage_seal();

CREATE TRIGGER drop_empty AFTER UPDATE ON public.key_limits FOR EACH ROW WHEN ((num_nonnulls(new.requests_per_second, new.upload_rate, new.download_rate, new.concurrent, new.egress_budget, new.requests_budget, new.spend_budget) = 0)) EXECUTE FUNCTION public.drop_empty_limits();

CREATE TRIGGER end_deleted AFTER DELETE ON public.access_keys FOR EACH ROW EXECUTE FUNCTION public.end_access_key();

CREATE TRIGGER end_key BEFORE INSERT OR UPDATE ON public.access_keys FOR EACH ROW EXECUTE FUNCTION public.end_access_key();

CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON public.domains FOR EACH ROW EXECUTE FUNCTION public.guard_domain();

CREATE TRIGGER keep_revoked BEFORE UPDATE ON public.access_keys FOR EACH ROW WHEN (((old.revoked_at IS NOT NULL) AND (new.revoked_at IS DISTINCT FROM old.revoked_at))) EXECUTE FUNCTION public.keep_revoked();

CREATE TRIGGER keep_rows BEFORE TRUNCATE ON public.access_keys FOR EACH STATEMENT EXECUTE FUNCTION public.keep_ended_keys();

CREATE TRIGGER keep_rows BEFORE DELETE OR UPDATE OR TRUNCATE ON public.ended_keys FOR EACH STATEMENT EXECUTE FUNCTION public.keep_ended_keys();

CREATE TRIGGER keep_samples BEFORE TRUNCATE ON public.storage_samples FOR EACH STATEMENT EXECUTE FUNCTION public.place_storage_sample();

CREATE TRIGGER keep_sealed_insert AFTER INSERT ON public.usage_readings REFERENCING NEW TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION public.keep_sealed_usage();

CREATE TRIGGER keep_sealed_update AFTER UPDATE ON public.usage_adjustments REFERENCING OLD TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION public.keep_sealed_usage();

CREATE TRIGGER keep_sealed_update AFTER UPDATE ON public.usage_readings REFERENCING OLD TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION public.keep_sealed_usage();

CREATE TRIGGER keep_seals BEFORE DELETE OR UPDATE OR TRUNCATE ON public.usage_seals FOR EACH STATEMENT EXECUTE FUNCTION public.keep_usage_seals();

CREATE TRIGGER never_less BEFORE DELETE OR TRUNCATE ON public.usage_adjustments FOR EACH STATEMENT EXECUTE FUNCTION public.keep_usage_growing();

CREATE TRIGGER never_less BEFORE DELETE OR TRUNCATE ON public.usage_readings FOR EACH STATEMENT EXECUTE FUNCTION public.keep_usage_growing();

CREATE TRIGGER notify AFTER INSERT OR DELETE OR UPDATE ON public.access_keys FOR EACH ROW EXECUTE FUNCTION public.notify_tenancy();

CREATE TRIGGER notify AFTER INSERT OR DELETE OR UPDATE ON public.account_limits FOR EACH ROW EXECUTE FUNCTION public.notify_limits();

CREATE TRIGGER notify AFTER INSERT OR DELETE OR UPDATE ON public.accounts FOR EACH ROW EXECUTE FUNCTION public.notify_tenancy();

CREATE TRIGGER notify AFTER INSERT OR DELETE OR UPDATE ON public.backends FOR EACH ROW EXECUTE FUNCTION public.notify_tenancy();

CREATE TRIGGER notify AFTER INSERT OR DELETE OR UPDATE ON public.bucket_logging FOR EACH ROW EXECUTE FUNCTION public.notify_bucket_logging();

CREATE TRIGGER notify AFTER INSERT OR DELETE OR UPDATE ON public.buckets FOR EACH ROW EXECUTE FUNCTION public.notify_tenancy();

CREATE TRIGGER notify AFTER INSERT OR DELETE ON public.domains FOR EACH ROW EXECUTE FUNCTION public.notify_tenancy();

CREATE TRIGGER notify AFTER INSERT OR DELETE OR UPDATE ON public.key_limits FOR EACH ROW EXECUTE FUNCTION public.notify_limits();

CREATE TRIGGER notify_changed AFTER UPDATE ON public.domains FOR EACH ROW WHEN (((((old.host IS DISTINCT FROM new.host) OR (old.account_id IS DISTINCT FROM new.account_id)) OR (old.purpose IS DISTINCT FROM new.purpose)) OR (old.verified IS DISTINCT FROM new.verified))) EXECUTE FUNCTION public.notify_tenancy();

CREATE TRIGGER only_grow BEFORE UPDATE ON public.usage_adjustments FOR EACH ROW WHEN (((((((((new.epoch IS DISTINCT FROM old.epoch) OR (new.account_id IS DISTINCT FROM old.account_id)) OR (new.bucket_id IS DISTINCT FROM old.bucket_id)) OR (new.key_id IS DISTINCT FROM old.key_id)) OR (new.class IS DISTINCT FROM old.class)) OR (new.hour IS DISTINCT FROM old.hour)) OR (new.seal_hour IS DISTINCT FROM old.seal_hour)) OR (new.requests < old.requests) OR (new.ingress_bytes < old.ingress_bytes) OR (new.egress_bytes < old.egress_bytes) OR (new.declared_ingress_bytes < old.declared_ingress_bytes) OR (new.declared_egress_bytes < old.declared_egress_bytes))) EXECUTE FUNCTION public.keep_usage_growing();

CREATE TRIGGER only_grow BEFORE UPDATE ON public.usage_readings FOR EACH ROW WHEN ((((((((new.epoch IS DISTINCT FROM old.epoch) OR (new.account_id IS DISTINCT FROM old.account_id)) OR (new.bucket_id IS DISTINCT FROM old.bucket_id)) OR (new.key_id IS DISTINCT FROM old.key_id)) OR (new.class IS DISTINCT FROM old.class)) OR (new.hour IS DISTINCT FROM old.hour)) OR (new.requests < old.requests) OR (new.ingress_bytes < old.ingress_bytes) OR (new.egress_bytes < old.egress_bytes) OR (new.declared_ingress_bytes < old.declared_ingress_bytes) OR (new.declared_egress_bytes < old.declared_egress_bytes))) EXECUTE FUNCTION public.keep_usage_growing();

CREATE TRIGGER place BEFORE INSERT OR DELETE OR UPDATE ON public.storage_samples FOR EACH ROW EXECUTE FUNCTION public.place_storage_sample();

CREATE TRIGGER place BEFORE INSERT ON public.usage_adjustments FOR EACH ROW EXECUTE FUNCTION public.place_usage_adjustment();

CREATE TRIGGER remember_deleted AFTER DELETE ON public.buckets FOR EACH ROW WHEN ((old.state <> 'creating'::text)) EXECUTE FUNCTION public.remember_deleted_bucket();

CREATE TRIGGER remove_domains AFTER UPDATE OF status ON public.accounts FOR EACH ROW WHEN (((new.status = 'closed'::text) AND (old.status IS DISTINCT FROM new.status))) EXECUTE FUNCTION public.remove_domains();

ALTER TABLE ONLY public.access_keys
    ADD CONSTRAINT access_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.access_keys
    ADD CONSTRAINT access_keys_account_id_successor_id_fkey FOREIGN KEY (account_id, successor_id) REFERENCES public.access_keys(account_id, id);

ALTER TABLE ONLY public.account_limits
    ADD CONSTRAINT account_limits_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_backend_id_fkey FOREIGN KEY (backend_id) REFERENCES public.backends(id);

ALTER TABLE ONLY public.bucket_logging
    ADD CONSTRAINT bucket_logging_bucket_id_fkey FOREIGN KEY (bucket_id) REFERENCES public.buckets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.bucket_upload_rules
    ADD CONSTRAINT bucket_upload_rules_bucket_id_fkey FOREIGN KEY (bucket_id) REFERENCES public.buckets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.buckets
    ADD CONSTRAINT buckets_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.buckets
    ADD CONSTRAINT buckets_backend_id_fkey FOREIGN KEY (backend_id) REFERENCES public.backends(id);

ALTER TABLE ONLY public.domains
    ADD CONSTRAINT domains_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.key_limits
    ADD CONSTRAINT key_limits_account_id_key_id_fkey FOREIGN KEY (account_id, key_id) REFERENCES public.access_keys(account_id, id);

ALTER TABLE ONLY public.rate_cards
    ADD CONSTRAINT rate_cards_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.storage_delivered
    ADD CONSTRAINT storage_delivered_bucket_id_fkey FOREIGN KEY (bucket_id) REFERENCES public.buckets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.storage_listings
    ADD CONSTRAINT storage_listings_bucket_id_fkey FOREIGN KEY (bucket_id) REFERENCES public.buckets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.storage_uploads
    ADD CONSTRAINT storage_uploads_bucket_id_fkey FOREIGN KEY (bucket_id) REFERENCES public.buckets(id) ON DELETE CASCADE;

ALTER TABLE public.access_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.account_limits ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.accounts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.bucket_logging ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.bucket_upload_rules ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.buckets ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.budget_leases ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.deleted_buckets ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.domains ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ended_keys ENABLE ROW LEVEL SECURITY;

CREATE POLICY gateway_all ON public.bucket_logging TO primecloud_gateway USING (true) WITH CHECK (true);

CREATE POLICY gateway_all ON public.bucket_upload_rules TO primecloud_gateway USING (true) WITH CHECK (true);

CREATE POLICY gateway_all ON public.buckets TO primecloud_gateway USING (true) WITH CHECK (true);

CREATE POLICY gateway_all ON public.budget_leases TO primecloud_gateway USING (true) WITH CHECK (true);

CREATE POLICY gateway_all ON public.limit_events TO primecloud_gateway USING (true) WITH CHECK (true);

CREATE POLICY gateway_all ON public.usage_adjustments TO primecloud_gateway USING (true) WITH CHECK (true);

CREATE POLICY gateway_all ON public.usage_readings TO primecloud_gateway USING (true) WITH CHECK (true);

CREATE POLICY gateway_certifies ON public.domains FOR UPDATE TO primecloud_gateway USING (true) WITH CHECK (true);

CREATE POLICY gateway_reads ON public.access_keys FOR SELECT TO primecloud_gateway USING (true);

CREATE POLICY gateway_reads ON public.account_limits FOR SELECT TO primecloud_gateway USING (true);

CREATE POLICY gateway_reads ON public.accounts FOR SELECT TO primecloud_gateway USING (true);

CREATE POLICY gateway_reads ON public.domains FOR SELECT TO primecloud_gateway USING (true);

CREATE POLICY gateway_reads ON public.ended_keys FOR SELECT TO primecloud_gateway USING (true);

CREATE POLICY gateway_reads ON public.key_limits FOR SELECT TO primecloud_gateway USING (true);

CREATE POLICY gateway_reads ON public.rate_cards FOR SELECT TO primecloud_gateway USING (true);

CREATE POLICY gateway_reads ON public.storage_delivered FOR SELECT TO primecloud_gateway USING (true);

CREATE POLICY gateway_reads ON public.storage_samples FOR SELECT TO primecloud_gateway USING (true);

ALTER TABLE public.key_limits ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.limit_events ENABLE ROW LEVEL SECURITY;

CREATE POLICY owner_all ON public.access_keys TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.account_limits TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.accounts TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.bucket_logging TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.bucket_upload_rules TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.buckets TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.budget_leases TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.deleted_buckets TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.domains TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.ended_keys TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.key_limits TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.limit_events TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.rate_cards TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.storage_delivered TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.storage_gaps TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.storage_samples TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.usage_adjustments TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_all ON public.usage_readings TO primecloud_owner USING (true) WITH CHECK (true);

CREATE POLICY portal_own ON public.access_keys TO primecloud_portal USING ((account_id = public.current_account())) WITH CHECK ((account_id = public.current_account()));

CREATE POLICY portal_own ON public.account_limits FOR SELECT TO primecloud_portal USING ((account_id = public.current_account()));

CREATE POLICY portal_own ON public.accounts FOR SELECT TO primecloud_portal USING ((id = public.current_account()));

CREATE POLICY portal_own ON public.bucket_logging FOR SELECT TO primecloud_portal USING ((EXISTS ( SELECT
   FROM public.buckets
  WHERE (buckets.id = bucket_logging.bucket_id))));

CREATE POLICY portal_own ON public.buckets FOR SELECT TO primecloud_portal USING ((account_id = public.current_account()));

CREATE POLICY portal_own ON public.budget_leases FOR SELECT TO primecloud_portal USING ((account_id = public.current_account()));

CREATE POLICY portal_own ON public.deleted_buckets FOR SELECT TO primecloud_portal USING ((account_id = public.current_account()));

CREATE POLICY portal_own ON public.domains TO primecloud_portal USING ((account_id = public.current_account())) WITH CHECK ((account_id = public.current_account()));

CREATE POLICY portal_own ON public.key_limits TO primecloud_portal USING ((account_id = public.current_account())) WITH CHECK ((account_id = public.current_account()));

CREATE POLICY portal_own ON public.limit_events FOR SELECT TO primecloud_portal USING ((account_id = public.current_account()));

CREATE POLICY portal_own ON public.rate_cards FOR SELECT TO primecloud_portal USING (((account_id IS NULL) OR (account_id = public.current_account())));

CREATE POLICY portal_own ON public.storage_delivered FOR SELECT TO primecloud_portal USING ((account_id = public.current_account()));

CREATE POLICY portal_own ON public.storage_gaps FOR SELECT TO primecloud_portal USING ((account_id = public.current_account()));

CREATE POLICY portal_own ON public.storage_samples FOR SELECT TO primecloud_portal USING ((account_id = public.current_account()));

CREATE POLICY portal_own ON public.usage_adjustments FOR SELECT TO primecloud_portal USING ((account_id = public.current_account()));

CREATE POLICY portal_own ON public.usage_readings FOR SELECT TO primecloud_portal USING ((account_id = public.current_account()));

ALTER TABLE public.rate_cards ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.storage_delivered ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.storage_gaps ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.storage_samples ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.usage_adjustments ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.usage_readings ENABLE ROW LEVEL SECURITY;

CREATE POLICY worker_all ON public.storage_delivered TO primecloud_worker USING (true) WITH CHECK (true);

CREATE POLICY worker_all ON public.storage_gaps TO primecloud_worker USING (true) WITH CHECK (true);

CREATE POLICY worker_all ON public.storage_samples TO primecloud_worker USING (true) WITH CHECK (true);

CREATE POLICY worker_checks ON public.domains FOR UPDATE TO primecloud_worker USING (true) WITH CHECK (true);

CREATE POLICY worker_reads ON public.bucket_logging FOR SELECT TO primecloud_worker USING (true);

CREATE POLICY worker_reads ON public.bucket_upload_rules FOR SELECT TO primecloud_worker USING (true);

CREATE POLICY worker_reads ON public.buckets FOR SELECT TO primecloud_worker USING (true);

CREATE POLICY worker_reads ON public.deleted_buckets FOR SELECT TO primecloud_worker USING (true);

CREATE POLICY worker_reads ON public.domains FOR SELECT TO primecloud_worker USING (true);

CREATE POLICY worker_reads ON public.usage_adjustments FOR SELECT TO primecloud_worker USING (true);

CREATE POLICY worker_reads ON public.usage_readings FOR SELECT TO primecloud_worker USING (true);

REVOKE USAGE ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO primecloud_owner;
GRANT USAGE ON SCHEMA public TO primecloud_gateway;
GRANT USAGE ON SCHEMA public TO primecloud_portal;
GRANT USAGE ON SCHEMA public TO primecloud_worker;

REVOKE ALL ON FUNCTION pg_catalog.lo_close(integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_creat(integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_create(oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_from_bytea(oid, bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_get(oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_get(oid, bigint, integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_lseek(integer, integer, integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_lseek64(integer, bigint, integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_open(oid, integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_put(oid, bigint, bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_tell(integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_tell64(integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_truncate(integer, integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_truncate64(integer, bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lo_unlink(oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.loread(integer, integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pg_catalog.lowrite(integer, bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.append_usage_seal() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.current_account() FROM PUBLIC;
GRANT ALL ON FUNCTION public.current_account() TO primecloud_portal;

REVOKE ALL ON FUNCTION public.drop_empty_limits() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.end_access_key() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.forget_domains() FROM PUBLIC;
GRANT ALL ON FUNCTION public.forget_domains() TO primecloud_worker;

REVOKE ALL ON FUNCTION public.forget_upload_rules(of_bucket uuid, named uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.forget_upload_rules(of_bucket uuid, named uuid) TO primecloud_gateway;
GRANT ALL ON FUNCTION public.forget_upload_rules(of_bucket uuid, named uuid) TO primecloud_worker;

REVOKE ALL ON FUNCTION public.guard_domain() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.hear_changes() FROM PUBLIC;
GRANT ALL ON FUNCTION public.hear_changes() TO primecloud_gateway;

REVOKE ALL ON FUNCTION public.keep_ended_keys() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.keep_revoked() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.keep_sealed_usage() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.keep_usage_growing() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.keep_usage_seals() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.lock_account(account uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.lock_account(account uuid) TO primecloud_gateway;

REVOKE ALL ON FUNCTION public.lock_usage() FROM PUBLIC;
GRANT ALL ON FUNCTION public.lock_usage() TO primecloud_worker;

REVOKE ALL ON FUNCTION public.notify_bucket_logging() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.notify_limits() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.notify_tenancy() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.place_storage_sample() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.place_usage_adjustment() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.remember_deleted_bucket() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.remove_domains() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.renew_change_channel() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.report_keyring(of_process uuid, of_role text, label text, print text, held text[], sealing text, leaves boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.report_keyring(of_process uuid, of_role text, label text, print text, held text[], sealing text, leaves boolean) TO primecloud_gateway;
GRANT ALL ON FUNCTION public.report_keyring(of_process uuid, of_role text, label text, print text, held text[], sealing text, leaves boolean) TO primecloud_worker;

REVOKE ALL ON FUNCTION public.river_job_state_in_bitmask(bitmask bit, state public.river_job_state) FROM PUBLIC;
GRANT ALL ON FUNCTION public.river_job_state_in_bitmask(bitmask bit, state public.river_job_state) TO primecloud_worker;

REVOKE ALL ON FUNCTION public.tell_change(what text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.usage_open_from() FROM PUBLIC;
GRANT ALL ON FUNCTION public.usage_open_from() TO primecloud_gateway;
GRANT ALL ON FUNCTION public.usage_open_from() TO primecloud_worker;

GRANT SELECT ON TABLE public.access_keys TO primecloud_gateway;

GRANT SELECT(id),INSERT(id) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(key_id),INSERT(key_id) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(account_id),INSERT(account_id) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(kind),INSERT(kind) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(user_id),INSERT(user_id) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(description),INSERT(description),UPDATE(description) ON TABLE public.access_keys TO primecloud_portal;

GRANT INSERT(sealed_secret) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(permissions),INSERT(permissions) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(buckets),INSERT(buckets) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(prefix),INSERT(prefix) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(cidrs),INSERT(cidrs) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(expires_at),INSERT(expires_at),UPDATE(expires_at) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(revoked_at),UPDATE(revoked_at) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(successor_id),UPDATE(successor_id) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(created_at) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(binding),INSERT(binding),UPDATE(binding) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT(sealed_hash) ON TABLE public.access_keys TO primecloud_portal;

GRANT SELECT ON TABLE public.account_limits TO primecloud_gateway;
GRANT SELECT ON TABLE public.account_limits TO primecloud_portal;

GRANT SELECT ON TABLE public.accounts TO primecloud_gateway;

GRANT SELECT(id) ON TABLE public.accounts TO primecloud_portal;

GRANT SELECT(name) ON TABLE public.accounts TO primecloud_portal;

GRANT SELECT(display_name) ON TABLE public.accounts TO primecloud_portal;

GRANT SELECT(canonical_id) ON TABLE public.accounts TO primecloud_portal;

GRANT SELECT(status) ON TABLE public.accounts TO primecloud_portal;

GRANT SELECT(created_at) ON TABLE public.accounts TO primecloud_portal;

GRANT SELECT(updated_at) ON TABLE public.accounts TO primecloud_portal;

GRANT SELECT ON TABLE public.backends TO primecloud_gateway;
GRANT SELECT ON TABLE public.backends TO primecloud_worker;

GRANT SELECT,INSERT,DELETE ON TABLE public.bucket_logging TO primecloud_gateway;
GRANT SELECT ON TABLE public.bucket_logging TO primecloud_portal;
GRANT SELECT ON TABLE public.bucket_logging TO primecloud_worker;

GRANT UPDATE(target_name) ON TABLE public.bucket_logging TO primecloud_gateway;

GRANT UPDATE(target_prefix) ON TABLE public.bucket_logging TO primecloud_gateway;

GRANT UPDATE(key_format) ON TABLE public.bucket_logging TO primecloud_gateway;

GRANT SELECT,INSERT ON TABLE public.bucket_upload_rules TO primecloud_gateway;
GRANT SELECT ON TABLE public.bucket_upload_rules TO primecloud_worker;

GRANT SELECT,INSERT,DELETE ON TABLE public.buckets TO primecloud_gateway;
GRANT SELECT ON TABLE public.buckets TO primecloud_worker;

GRANT SELECT(id) ON TABLE public.buckets TO primecloud_portal;

GRANT SELECT(account_id) ON TABLE public.buckets TO primecloud_portal;

GRANT SELECT(name) ON TABLE public.buckets TO primecloud_portal;

GRANT UPDATE(state) ON TABLE public.buckets TO primecloud_gateway;
GRANT SELECT(state) ON TABLE public.buckets TO primecloud_portal;

GRANT SELECT(object_lock) ON TABLE public.buckets TO primecloud_portal;

GRANT SELECT(public_blocked) ON TABLE public.buckets TO primecloud_portal;

GRANT SELECT(created_at) ON TABLE public.buckets TO primecloud_portal;

GRANT UPDATE(updated_at) ON TABLE public.buckets TO primecloud_gateway;
GRANT SELECT(updated_at) ON TABLE public.buckets TO primecloud_portal;

GRANT SELECT,INSERT,DELETE ON TABLE public.budget_leases TO primecloud_gateway;

GRANT SELECT(account_id) ON TABLE public.budget_leases TO primecloud_portal;

GRANT SELECT(key_id) ON TABLE public.budget_leases TO primecloud_portal;

GRANT SELECT(budget) ON TABLE public.budget_leases TO primecloud_portal;

GRANT SELECT(period) ON TABLE public.budget_leases TO primecloud_portal;

GRANT UPDATE(granted) ON TABLE public.budget_leases TO primecloud_gateway;
GRANT SELECT(granted) ON TABLE public.budget_leases TO primecloud_portal;

GRANT UPDATE(used) ON TABLE public.budget_leases TO primecloud_gateway;
GRANT SELECT(used) ON TABLE public.budget_leases TO primecloud_portal;

GRANT UPDATE(ledger) ON TABLE public.budget_leases TO primecloud_gateway;
GRANT SELECT(ledger) ON TABLE public.budget_leases TO primecloud_portal;

GRANT UPDATE(final) ON TABLE public.budget_leases TO primecloud_gateway;
GRANT SELECT(final) ON TABLE public.budget_leases TO primecloud_portal;

GRANT UPDATE(read_at) ON TABLE public.budget_leases TO primecloud_gateway;

GRANT UPDATE(renewed_at) ON TABLE public.budget_leases TO primecloud_gateway;
GRANT SELECT(renewed_at) ON TABLE public.budget_leases TO primecloud_portal;

GRANT SELECT ON TABLE public.deleted_buckets TO primecloud_worker;
GRANT SELECT ON TABLE public.deleted_buckets TO primecloud_portal;

GRANT SELECT ON TABLE public.domains TO primecloud_gateway;
GRANT SELECT ON TABLE public.domains TO primecloud_portal;
GRANT SELECT ON TABLE public.domains TO primecloud_worker;

GRANT INSERT(host) ON TABLE public.domains TO primecloud_portal;

GRANT INSERT(account_id) ON TABLE public.domains TO primecloud_portal;

GRANT INSERT(purpose) ON TABLE public.domains TO primecloud_portal;

GRANT INSERT(bucket) ON TABLE public.domains TO primecloud_portal;

GRANT UPDATE(ownership) ON TABLE public.domains TO primecloud_worker;

GRANT UPDATE(ownership_reason) ON TABLE public.domains TO primecloud_worker;

GRANT UPDATE(ownership_found) ON TABLE public.domains TO primecloud_worker;

GRANT UPDATE(dns) ON TABLE public.domains TO primecloud_worker;

GRANT UPDATE(dns_reason) ON TABLE public.domains TO primecloud_worker;

GRANT UPDATE(dns_found) ON TABLE public.domains TO primecloud_worker;

GRANT UPDATE(certificate) ON TABLE public.domains TO primecloud_gateway;

GRANT UPDATE(certificate_reason) ON TABLE public.domains TO primecloud_gateway;

GRANT UPDATE(certificate_at) ON TABLE public.domains TO primecloud_gateway;

GRANT UPDATE(check_error) ON TABLE public.domains TO primecloud_worker;

GRANT UPDATE(checked_at) ON TABLE public.domains TO primecloud_worker;

GRANT UPDATE(next_check_at) ON TABLE public.domains TO primecloud_worker;

GRANT UPDATE(failing_since) ON TABLE public.domains TO primecloud_worker;

GRANT UPDATE(failures) ON TABLE public.domains TO primecloud_worker;

GRANT UPDATE(verified_at) ON TABLE public.domains TO primecloud_worker;

GRANT UPDATE(removed_at) ON TABLE public.domains TO primecloud_portal;

GRANT SELECT ON TABLE public.ended_keys TO primecloud_gateway;

GRANT SELECT ON TABLE public.key_limits TO primecloud_gateway;
GRANT SELECT,INSERT ON TABLE public.key_limits TO primecloud_portal;

GRANT UPDATE(requests_per_second) ON TABLE public.key_limits TO primecloud_portal;

GRANT UPDATE(upload_rate) ON TABLE public.key_limits TO primecloud_portal;

GRANT UPDATE(download_rate) ON TABLE public.key_limits TO primecloud_portal;

GRANT UPDATE(concurrent) ON TABLE public.key_limits TO primecloud_portal;

GRANT UPDATE(egress_budget) ON TABLE public.key_limits TO primecloud_portal;

GRANT UPDATE(requests_budget) ON TABLE public.key_limits TO primecloud_portal;

GRANT UPDATE(spend_budget) ON TABLE public.key_limits TO primecloud_portal;

GRANT UPDATE(egress_soft) ON TABLE public.key_limits TO primecloud_portal;

GRANT UPDATE(requests_soft) ON TABLE public.key_limits TO primecloud_portal;

GRANT UPDATE(spend_soft) ON TABLE public.key_limits TO primecloud_portal;

GRANT UPDATE(updated_at) ON TABLE public.key_limits TO primecloud_portal;

GRANT SELECT ON TABLE public.keyring TO primecloud_gateway;
GRANT SELECT ON TABLE public.keyring TO primecloud_worker;

GRANT SELECT,INSERT ON TABLE public.usage_nodes TO primecloud_gateway;
GRANT SELECT ON TABLE public.usage_nodes TO primecloud_worker;

GRANT UPDATE(flushed_at) ON TABLE public.usage_nodes TO primecloud_gateway;

GRANT UPDATE(closed_at) ON TABLE public.usage_nodes TO primecloud_gateway;

GRANT UPDATE(writer) ON TABLE public.usage_nodes TO primecloud_gateway;

GRANT UPDATE(contested_at) ON TABLE public.usage_nodes TO primecloud_gateway;

GRANT UPDATE(reported_at) ON TABLE public.usage_nodes TO primecloud_gateway;

GRANT SELECT,INSERT ON TABLE public.limit_events TO primecloud_gateway;
GRANT SELECT ON TABLE public.limit_events TO primecloud_portal;

GRANT SELECT ON TABLE public.rate_cards TO primecloud_gateway;
GRANT SELECT ON TABLE public.rate_cards TO primecloud_portal;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.river_job TO primecloud_worker;

GRANT USAGE ON SEQUENCE public.river_job_id_seq TO primecloud_worker;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.river_leader TO primecloud_worker;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.river_queue TO primecloud_worker;

GRANT SELECT ON TABLE public.schema_version TO primecloud_gateway;
GRANT SELECT ON TABLE public.schema_version TO primecloud_portal;
GRANT SELECT ON TABLE public.schema_version TO primecloud_worker;

GRANT SELECT,INSERT ON TABLE public.storage_delivered TO primecloud_worker;
GRANT SELECT ON TABLE public.storage_delivered TO primecloud_gateway;
GRANT SELECT ON TABLE public.storage_delivered TO primecloud_portal;

GRANT UPDATE(measured_at) ON TABLE public.storage_delivered TO primecloud_worker;

GRANT UPDATE(bytes) ON TABLE public.storage_delivered TO primecloud_worker;

GRANT SELECT,INSERT,DELETE ON TABLE public.storage_gaps TO primecloud_worker;

GRANT SELECT(bucket_id) ON TABLE public.storage_gaps TO primecloud_portal;

GRANT SELECT(hour) ON TABLE public.storage_gaps TO primecloud_portal;

GRANT SELECT(account_id) ON TABLE public.storage_gaps TO primecloud_portal;

GRANT UPDATE(error) ON TABLE public.storage_gaps TO primecloud_worker;

GRANT UPDATE(failed_at) ON TABLE public.storage_gaps TO primecloud_worker;
GRANT SELECT(failed_at) ON TABLE public.storage_gaps TO primecloud_portal;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.storage_listings TO primecloud_worker;

GRANT SELECT,INSERT ON TABLE public.storage_samples TO primecloud_worker;
GRANT SELECT ON TABLE public.storage_samples TO primecloud_portal;
GRANT SELECT ON TABLE public.storage_samples TO primecloud_gateway;

GRANT UPDATE(current_bytes) ON TABLE public.storage_samples TO primecloud_worker;

GRANT UPDATE(noncurrent_bytes) ON TABLE public.storage_samples TO primecloud_worker;

GRANT UPDATE(incomplete_bytes) ON TABLE public.storage_samples TO primecloud_worker;

GRANT UPDATE(objects) ON TABLE public.storage_samples TO primecloud_worker;

GRANT UPDATE(noncurrent_versions) ON TABLE public.storage_samples TO primecloud_worker;

GRANT UPDATE(delete_markers) ON TABLE public.storage_samples TO primecloud_worker;

GRANT UPDATE(uploads) ON TABLE public.storage_samples TO primecloud_worker;

GRANT UPDATE(source) ON TABLE public.storage_samples TO primecloud_worker;

GRANT UPDATE(started_at) ON TABLE public.storage_samples TO primecloud_worker;

GRANT UPDATE(measured_at) ON TABLE public.storage_samples TO primecloud_worker;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.storage_uploads TO primecloud_worker;

GRANT SELECT,INSERT ON TABLE public.usage_adjustments TO primecloud_gateway;
GRANT SELECT ON TABLE public.usage_adjustments TO primecloud_worker;

GRANT SELECT(account_id) ON TABLE public.usage_adjustments TO primecloud_portal;

GRANT SELECT(bucket_id) ON TABLE public.usage_adjustments TO primecloud_portal;

GRANT SELECT(key_id) ON TABLE public.usage_adjustments TO primecloud_portal;

GRANT SELECT(class) ON TABLE public.usage_adjustments TO primecloud_portal;

GRANT SELECT(hour) ON TABLE public.usage_adjustments TO primecloud_portal;

GRANT SELECT(seal_hour) ON TABLE public.usage_adjustments TO primecloud_portal;

GRANT UPDATE(requests) ON TABLE public.usage_adjustments TO primecloud_gateway;
GRANT SELECT(requests) ON TABLE public.usage_adjustments TO primecloud_portal;

GRANT UPDATE(ingress_bytes) ON TABLE public.usage_adjustments TO primecloud_gateway;
GRANT SELECT(ingress_bytes) ON TABLE public.usage_adjustments TO primecloud_portal;

GRANT UPDATE(egress_bytes) ON TABLE public.usage_adjustments TO primecloud_gateway;
GRANT SELECT(egress_bytes) ON TABLE public.usage_adjustments TO primecloud_portal;

GRANT UPDATE(declared_ingress_bytes) ON TABLE public.usage_adjustments TO primecloud_gateway;
GRANT SELECT(declared_ingress_bytes) ON TABLE public.usage_adjustments TO primecloud_portal;

GRANT UPDATE(declared_egress_bytes) ON TABLE public.usage_adjustments TO primecloud_gateway;
GRANT SELECT(declared_egress_bytes) ON TABLE public.usage_adjustments TO primecloud_portal;

GRANT SELECT(recorded_at) ON TABLE public.usage_adjustments TO primecloud_portal;

GRANT SELECT,INSERT ON TABLE public.usage_readings TO primecloud_gateway;
GRANT SELECT ON TABLE public.usage_readings TO primecloud_worker;

GRANT SELECT(account_id) ON TABLE public.usage_readings TO primecloud_portal;

GRANT SELECT(bucket_id) ON TABLE public.usage_readings TO primecloud_portal;

GRANT SELECT(key_id) ON TABLE public.usage_readings TO primecloud_portal;

GRANT SELECT(class) ON TABLE public.usage_readings TO primecloud_portal;

GRANT SELECT(hour) ON TABLE public.usage_readings TO primecloud_portal;

GRANT UPDATE(requests) ON TABLE public.usage_readings TO primecloud_gateway;
GRANT SELECT(requests) ON TABLE public.usage_readings TO primecloud_portal;

GRANT UPDATE(ingress_bytes) ON TABLE public.usage_readings TO primecloud_gateway;
GRANT SELECT(ingress_bytes) ON TABLE public.usage_readings TO primecloud_portal;

GRANT UPDATE(egress_bytes) ON TABLE public.usage_readings TO primecloud_gateway;
GRANT SELECT(egress_bytes) ON TABLE public.usage_readings TO primecloud_portal;

GRANT UPDATE(declared_ingress_bytes) ON TABLE public.usage_readings TO primecloud_gateway;
GRANT SELECT(declared_ingress_bytes) ON TABLE public.usage_readings TO primecloud_portal;

GRANT UPDATE(declared_egress_bytes) ON TABLE public.usage_readings TO primecloud_gateway;
GRANT SELECT(declared_egress_bytes) ON TABLE public.usage_readings TO primecloud_portal;

GRANT UPDATE(read_at) ON TABLE public.usage_readings TO primecloud_gateway;

GRANT SELECT ON TABLE public.usage_hourly TO primecloud_portal;
GRANT SELECT ON TABLE public.usage_hourly TO primecloud_worker;

GRANT SELECT,INSERT ON TABLE public.usage_seals TO primecloud_worker;

GRANT SELECT(hour) ON TABLE public.usage_seals TO primecloud_portal;

GRANT SELECT(samples) ON TABLE public.usage_seals TO primecloud_portal;

GRANT SELECT ON TABLE public.usage_written TO primecloud_portal;
GRANT SELECT ON TABLE public.usage_written TO primecloud_worker;

ALTER DEFAULT PRIVILEGES FOR ROLE postgres REVOKE ALL ON FUNCTIONS  FROM PUBLIC;

ALTER DEFAULT PRIVILEGES FOR ROLE primecloud_owner REVOKE ALL ON FUNCTIONS  FROM PUBLIC;
