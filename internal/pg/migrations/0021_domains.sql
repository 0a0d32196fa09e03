-- +goose Up
-- A row is an account's claim of a host: what the account has to prove, and what
-- was found in the DNS (docs/decisions/0039). Gateways of before read host,
-- account_id and verified, and find them as they were.
ALTER TABLE domains DROP CONSTRAINT domains_pkey;
ALTER TABLE domains
	ADD COLUMN id                    uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	ADD COLUMN purpose               text NOT NULL DEFAULT 's3' CHECK (purpose IN ('s3', 'website', 'portal')),
	ADD COLUMN bucket                text CHECK ((bucket IS NOT NULL) = (purpose = 'website')), -- the website's
	ADD COLUMN token                 text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''), -- a claim's own, never another's
	ADD COLUMN ownership             text NOT NULL DEFAULT 'pending' CHECK (ownership IN ('pending', 'verified', 'failed', 'lost')),
	ADD COLUMN ownership_reason      text NOT NULL DEFAULT '',
	ADD COLUMN ownership_found       jsonb NOT NULL DEFAULT '[]',
	ADD COLUMN dns                   text NOT NULL DEFAULT 'unknown' CHECK (dns IN ('unknown', 'ok', 'missing', 'wrong', 'proxied')),
	ADD COLUMN dns_reason            text NOT NULL DEFAULT '',
	ADD COLUMN dns_found             jsonb NOT NULL DEFAULT '[]',
	ADD COLUMN certificate           text NOT NULL DEFAULT 'none' CHECK (certificate IN ('none', 'issuing', 'active', 'failed', 'expiring')),
	ADD COLUMN certificate_reason    text NOT NULL DEFAULT '',
	ADD COLUMN certificate_at        timestamptz,
	ADD COLUMN check_error           text NOT NULL DEFAULT '', -- why the last check found out nothing
	ADD COLUMN checked_at            timestamptz,
	ADD COLUMN next_check_at         timestamptz DEFAULT now(), -- NULL: only when somebody asks for it
	ADD COLUMN failing_since         timestamptz, -- of what is verified: since when the proof is not found
	ADD COLUMN failures              integer NOT NULL DEFAULT 0,
	ADD COLUMN verified_at           timestamptz, -- first
	ADD COLUMN removed_at            timestamptz,
	ADD COLUMN reserved_until        timestamptz; -- for nobody else, after the removal
UPDATE domains SET ownership = 'verified', verified_at = created_at WHERE verified;
ALTER TABLE domains DROP COLUMN verified; -- and its index
ALTER TABLE domains ADD COLUMN verified boolean NOT NULL GENERATED ALWAYS AS (ownership = 'verified' AND removed_at IS NULL) STORED;
CREATE UNIQUE INDEX domains_verified ON domains (host) WHERE verified;
CREATE UNIQUE INDEX domains_claimed ON domains (account_id, host) WHERE removed_at IS NULL;
CREATE INDEX domains_due ON domains (next_check_at) WHERE removed_at IS NULL;
CREATE INDEX domains_removed ON domains (host) WHERE removed_at IS NOT NULL;

-- Who claims sees no rows of others. The errors are told by their constraint.
-- +goose StatementBegin
CREATE FUNCTION guard_domain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- What is closed for good serves no host.
CREATE FUNCTION remove_domains() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE public.domains SET removed_at = now() WHERE account_id = NEW.id AND removed_at IS NULL;
	RETURN NULL;
END
$$;

-- Who may DELETE of a table may lock all of it; and gateways read this one.
CREATE FUNCTION forget_domains() RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM public.domains WHERE removed_at IS NOT NULL AND reserved_until <= now();
END
$$;
-- +goose StatementEnd
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON domains FOR EACH ROW EXECUTE FUNCTION guard_domain();
-- Nodes hear of what they remember, not of each daily check.
DROP TRIGGER notify ON domains;
CREATE TRIGGER notify AFTER INSERT OR DELETE ON domains FOR EACH ROW EXECUTE FUNCTION notify_tenancy();
CREATE TRIGGER notify_changed AFTER UPDATE ON domains FOR EACH ROW
	WHEN ((OLD.host, OLD.account_id, OLD.purpose, OLD.verified) IS DISTINCT FROM (NEW.host, NEW.account_id, NEW.purpose, NEW.verified)) EXECUTE FUNCTION notify_tenancy();
CREATE TRIGGER remove_domains AFTER UPDATE OF status ON accounts FOR EACH ROW
	WHEN (NEW.status = 'closed' AND OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION remove_domains();
ALTER FUNCTION guard_domain() OWNER TO primecloud_owner;
ALTER FUNCTION remove_domains() OWNER TO primecloud_owner;
ALTER FUNCTION forget_domains() OWNER TO primecloud_owner;
REVOKE ALL ON FUNCTION guard_domain(), remove_domains(), forget_domains() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_domains() TO primecloud_worker;

-- The worker says what it found, the gateway how its certificates are, and the
-- portal claims and removes.
CREATE POLICY worker_reads ON domains FOR SELECT TO primecloud_worker USING (true);
CREATE POLICY worker_checks ON domains FOR UPDATE TO primecloud_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE (ownership, ownership_reason, ownership_found, dns, dns_reason, dns_found, check_error, checked_at, next_check_at,
	failing_since, failures, verified_at) ON domains TO primecloud_worker;
CREATE POLICY gateway_certifies ON domains FOR UPDATE TO primecloud_gateway USING (true) WITH CHECK (true);
GRANT UPDATE (certificate, certificate_reason, certificate_at) ON domains TO primecloud_gateway;
GRANT INSERT (purpose, bucket), UPDATE (removed_at) ON domains TO primecloud_portal;
