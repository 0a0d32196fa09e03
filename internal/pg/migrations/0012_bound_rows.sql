-- +goose Up
-- A row that holds a sealed value is bound to it by a MAC with a key that the
-- database never sees (docs/decisions/0027). Who has that key and may not read
-- what is sealed, as the portal, binds with its hash.
ALTER TABLE access_keys
	ADD COLUMN binding bytea,
	ADD COLUMN sealed_hash bytea GENERATED ALWAYS AS (sha256(sealed_secret)) STORED;
ALTER TABLE backends ADD COLUMN binding bytea;
GRANT SELECT (sealed_hash, binding), INSERT (binding), UPDATE (binding) ON access_keys TO primecloud_portal;

-- The access keys that ended for good, also when their rows are gone: a row
-- that comes back, from a copy or a backup of one table, is still ended.
CREATE TABLE ended_keys (
	id         uuid PRIMARY KEY,
	account_id uuid NOT NULL,
	key_id     text NOT NULL,
	ended_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ended_keys_at ON ended_keys (ended_at);
ALTER TABLE ended_keys OWNER TO primecloud_owner;
ALTER TABLE ended_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE ended_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON ended_keys TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY gateway_reads ON ended_keys FOR SELECT TO primecloud_gateway USING (true);
GRANT SELECT ON ended_keys TO primecloud_gateway;

-- +goose StatementBegin
CREATE FUNCTION end_access_key() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

CREATE FUNCTION keep_ended_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION '% of %: ended access keys are remembered', TG_OP, TG_TABLE_NAME USING ERRCODE = 'check_violation';
END
$$;
-- +goose StatementEnd
ALTER FUNCTION end_access_key() OWNER TO primecloud_owner;
ALTER FUNCTION keep_ended_keys() OWNER TO primecloud_owner;
REVOKE ALL ON FUNCTION end_access_key() FROM PUBLIC;

INSERT INTO ended_keys (id, account_id, key_id, ended_at) SELECT id, account_id, key_id, revoked_at FROM access_keys WHERE revoked_at IS NOT NULL;
UPDATE access_keys SET sealed_secret = '' WHERE revoked_at IS NOT NULL;

CREATE TRIGGER end_key BEFORE INSERT OR UPDATE ON access_keys FOR EACH ROW EXECUTE FUNCTION end_access_key();
CREATE TRIGGER end_deleted AFTER DELETE ON access_keys FOR EACH ROW EXECUTE FUNCTION end_access_key();
CREATE TRIGGER keep_rows BEFORE TRUNCATE ON access_keys FOR EACH STATEMENT EXECUTE FUNCTION keep_ended_keys();
CREATE TRIGGER keep_rows BEFORE UPDATE OR DELETE OR TRUNCATE ON ended_keys FOR EACH STATEMENT EXECUTE FUNCTION keep_ended_keys();
