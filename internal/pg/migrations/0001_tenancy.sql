-- +goose Up
-- +goose StatementBegin
-- Roles belong to the cluster, databases come and go (tests clone them): create
-- what is missing and survive another session doing the same at this moment.
DO $$
DECLARE
	r text;
BEGIN
	FOREACH r IN ARRAY ARRAY['primecloud_owner', 'primecloud_gateway', 'primecloud_portal', 'primecloud_worker'] LOOP
		BEGIN
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
				EXECUTE format('CREATE ROLE %I NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOLOGIN', r);
			END IF;
		EXCEPTION WHEN duplicate_object OR unique_violation THEN
			NULL;
		END;
	END LOOP;
	-- One who may create roles, but is no superuser, must belong to the owner to
	-- hand it the tables.
	IF current_user <> 'primecloud_owner' AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
		BEGIN
			EXECUTE format('GRANT primecloud_owner TO %I', current_user);
		EXCEPTION WHEN insufficient_privilege OR unique_violation THEN
			NULL; -- who made the roles may have granted it; ALTER … OWNER will tell
		END;
	END IF;
	EXECUTE format('GRANT CREATE, CONNECT, TEMPORARY ON DATABASE %I TO primecloud_owner', current_database());
	EXECUTE format('GRANT CONNECT ON DATABASE %I TO primecloud_gateway, primecloud_portal, primecloud_worker', current_database());
END
$$;
-- +goose StatementEnd

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO primecloud_owner;
GRANT USAGE ON SCHEMA public TO primecloud_gateway, primecloud_portal, primecloud_worker;
GRANT SELECT ON goose_db_version TO primecloud_owner;

-- What the server asks before it starts; goose's own table stays private.
CREATE VIEW schema_version AS SELECT max(version_id) AS version FROM goose_db_version WHERE is_applied;
ALTER VIEW schema_version OWNER TO primecloud_owner;
GRANT SELECT ON schema_version TO primecloud_gateway, primecloud_portal, primecloud_worker;

-- The account that the portal's session works for; NULL sees nothing.
CREATE FUNCTION current_account() RETURNS uuid
	LANGUAGE sql STABLE PARALLEL SAFE
	AS $$ SELECT nullif(current_setting('primecloud.account_id', true), '')::uuid $$;

CREATE TABLE backends (
	id                uuid PRIMARY KEY,
	name              text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
	endpoints         text[] NOT NULL CHECK (cardinality(endpoints) > 0),
	region            text NOT NULL,
	ca                text NOT NULL DEFAULT '',
	-- With this MinIO the key id alone is enough to forge a write: both are secrets.
	sealed_credential bytea NOT NULL,
	is_default        boolean NOT NULL DEFAULT false,
	created_at        timestamptz NOT NULL DEFAULT now(),
	updated_at        timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX backends_one_default ON backends (is_default) WHERE is_default;

CREATE TABLE accounts (
	id           uuid PRIMARY KEY,
	name         text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
	display_name text NOT NULL,
	canonical_id text NOT NULL UNIQUE CHECK (canonical_id ~ '^[0-9a-f]{64}$'),
	status       text NOT NULL CHECK (status IN ('pending', 'active', 'read_only', 'suspended', 'closed', 'rejected')),
	backend_id   uuid REFERENCES backends (id),
	created_at   timestamptz NOT NULL DEFAULT now(),
	updated_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE access_keys (
	id            uuid PRIMARY KEY,
	key_id        text NOT NULL UNIQUE CHECK (key_id ~ '^[!-~]{3,128}$'),
	account_id    uuid NOT NULL REFERENCES accounts (id),
	kind          text NOT NULL CHECK (kind IN ('s3', 'portal', 'sftp', 'job')),
	user_id       uuid,
	description   text NOT NULL DEFAULT '',
	sealed_secret bytea NOT NULL,
	permissions   text[] NOT NULL,
	buckets       text[], -- NULL: every bucket
	prefix        text NOT NULL DEFAULT '',
	cidrs         cidr[] NOT NULL DEFAULT '{}',
	expires_at    timestamptz,
	revoked_at    timestamptz,
	successor_id  uuid,
	created_at    timestamptz NOT NULL DEFAULT now(),
	UNIQUE (account_id, id),
	FOREIGN KEY (account_id, successor_id) REFERENCES access_keys (account_id, id),
	-- An internal key is short-lived whoever makes it. A CHECK that is NULL holds: say it.
	CHECK (kind = 's3' OR expires_at IS NOT NULL AND expires_at <= created_at + interval '1 hour 1 minute')
);
CREATE INDEX access_keys_account ON access_keys (account_id, created_at);

CREATE TABLE buckets (
	id             uuid PRIMARY KEY,
	account_id     uuid NOT NULL REFERENCES accounts (id),
	name           text COLLATE "C" NOT NULL CHECK (length(name) BETWEEN 3 AND 63), -- listed in byte order
	backend_id     uuid NOT NULL REFERENCES backends (id),
	backend_name   text NOT NULL CHECK (length(backend_name) BETWEEN 3 AND 63),
	state          text NOT NULL CHECK (state IN ('creating', 'active', 'deleting')),
	object_lock    boolean NOT NULL DEFAULT false,
	public_blocked boolean NOT NULL DEFAULT false,
	created_at     timestamptz NOT NULL DEFAULT now(),
	updated_at     timestamptz NOT NULL DEFAULT now(),
	UNIQUE (account_id, name),
	UNIQUE (backend_id, backend_name)
);
CREATE INDEX buckets_unsettled ON buckets (updated_at) WHERE state <> 'active';

-- Anyone may claim a host; the one who proves it has it.
CREATE TABLE domains (
	host       text NOT NULL CHECK (host = lower(host) AND length(host) BETWEEN 1 AND 253),
	account_id uuid NOT NULL REFERENCES accounts (id),
	verified   boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (host, account_id)
);
CREATE UNIQUE INDEX domains_verified ON domains (host) WHERE verified;

-- Whoever writes, every node hears of it, by the old name and by the new one.
-- PostgreSQL sends equal notifications of a transaction once.
-- +goose StatementBegin
CREATE FUNCTION notify_tenancy() RETURNS trigger LANGUAGE plpgsql AS $$
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
			WHEN 'access_keys' THEN PERFORM pg_notify('primecloud', 'key:' || r.key_id);
			WHEN 'accounts' THEN
				PERFORM pg_notify('primecloud', 'account:' || r.id);
				PERFORM pg_notify('primecloud', 'name:' || r.name);
			WHEN 'buckets' THEN PERFORM pg_notify('primecloud', 'bucket:' || r.account_id || '/' || r.name);
			WHEN 'backends' THEN PERFORM pg_notify('primecloud', 'backend:' || r.id);
			WHEN 'domains' THEN PERFORM pg_notify('primecloud', 'domain:' || r.host);
		END CASE;
	END LOOP;
	RETURN NULL;
END
$$;

-- Nobody who may revoke may take it back.
CREATE FUNCTION keep_revoked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'a revoked access key stays revoked' USING ERRCODE = 'check_violation';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER keep_revoked BEFORE UPDATE ON access_keys FOR EACH ROW
	WHEN (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at) EXECUTE FUNCTION keep_revoked();
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON access_keys FOR EACH ROW EXECUTE FUNCTION notify_tenancy();
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION notify_tenancy();
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON buckets FOR EACH ROW EXECUTE FUNCTION notify_tenancy();
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON backends FOR EACH ROW EXECUTE FUNCTION notify_tenancy();
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON domains FOR EACH ROW EXECUTE FUNCTION notify_tenancy();

ALTER TABLE backends OWNER TO primecloud_owner;
ALTER TABLE accounts OWNER TO primecloud_owner;
ALTER TABLE access_keys OWNER TO primecloud_owner;
ALTER TABLE buckets OWNER TO primecloud_owner;
ALTER TABLE domains OWNER TO primecloud_owner;
ALTER FUNCTION current_account() OWNER TO primecloud_owner;
ALTER FUNCTION notify_tenancy() OWNER TO primecloud_owner;
ALTER FUNCTION keep_revoked() OWNER TO primecloud_owner;

ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE accounts FORCE ROW LEVEL SECURITY;
ALTER TABLE access_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE buckets FORCE ROW LEVEL SECURITY;
ALTER TABLE domains ENABLE ROW LEVEL SECURITY;
ALTER TABLE domains FORCE ROW LEVEL SECURITY;

CREATE POLICY owner_all ON accounts TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_all ON access_keys TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_all ON buckets TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_all ON domains TO primecloud_owner USING (true) WITH CHECK (true);

-- The gateway serves every account: it reads all, and writes buckets.
CREATE POLICY gateway_reads ON accounts FOR SELECT TO primecloud_gateway USING (true);
CREATE POLICY gateway_reads ON access_keys FOR SELECT TO primecloud_gateway USING (true);
CREATE POLICY gateway_all ON buckets TO primecloud_gateway USING (true) WITH CHECK (true);
CREATE POLICY gateway_reads ON domains FOR SELECT TO primecloud_gateway USING (true);
GRANT SELECT ON backends, accounts, access_keys, domains TO primecloud_gateway;
GRANT SELECT, INSERT, DELETE, UPDATE (state, updated_at) ON buckets TO primecloud_gateway;

-- The portal sees one account at a time, and no secret.
CREATE POLICY portal_own ON accounts FOR SELECT TO primecloud_portal USING (id = current_account());
CREATE POLICY portal_own ON access_keys TO primecloud_portal USING (account_id = current_account()) WITH CHECK (account_id = current_account());
CREATE POLICY portal_own ON buckets FOR SELECT TO primecloud_portal USING (account_id = current_account());
CREATE POLICY portal_own ON domains TO primecloud_portal USING (account_id = current_account()) WITH CHECK (account_id = current_account());
GRANT SELECT ON accounts, buckets TO primecloud_portal;
GRANT SELECT (id, key_id, account_id, kind, user_id, description, permissions, buckets, prefix, cidrs, expires_at, revoked_at, successor_id, created_at),
	INSERT (id, key_id, account_id, kind, user_id, description, sealed_secret, permissions, buckets, prefix, cidrs, expires_at),
	UPDATE (description, expires_at, revoked_at, successor_id) ON access_keys TO primecloud_portal;
-- It claims hosts; whether the claim is proven is not its to say.
GRANT SELECT, INSERT (host, account_id), DELETE ON domains TO primecloud_portal;

CREATE POLICY worker_reads ON accounts FOR SELECT TO primecloud_worker USING (true);
CREATE POLICY worker_reads ON buckets FOR SELECT TO primecloud_worker USING (true);
CREATE POLICY worker_reads ON domains FOR SELECT TO primecloud_worker USING (true);
CREATE POLICY worker_proves ON domains FOR UPDATE TO primecloud_worker USING (true);
GRANT SELECT ON accounts, buckets, domains TO primecloud_worker;
GRANT UPDATE (verified) ON domains TO primecloud_worker;
