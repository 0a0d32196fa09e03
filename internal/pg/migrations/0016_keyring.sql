-- +goose Up
-- Which keyring is this installation's, and which of its keys seals
-- (docs/decisions/0033). The fingerprint tells nothing of the keys.
CREATE TABLE keyring (
	one         boolean PRIMARY KEY DEFAULT true CHECK (one),
	fingerprint text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{16}$'),
	seals       text NOT NULL CHECK (length(seals) BETWEEN 1 AND 64),
	since       timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE keyring OWNER TO primecloud_owner;
GRANT SELECT ON keyring TO primecloud_gateway, primecloud_worker;

-- Which keys each process has. Nobody writes it but with report_keyring.
CREATE TABLE keyring_holders (
	process     uuid NOT NULL,
	role        text NOT NULL CHECK (length(role) BETWEEN 1 AND 64),
	node        text NOT NULL CHECK (length(node) <= 255),
	keys        text[] NOT NULL CHECK (cardinality(keys) BETWEEN 1 AND 1000),
	seals       text NOT NULL CHECK (length(seals) BETWEEN 1 AND 64),
	reported_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (process, role)
);
ALTER TABLE keyring_holders OWNER TO primecloud_owner;

-- Those that report, and gateways of a version that does not say what it has.
CREATE VIEW keyring_members AS
	SELECT role, node, keys, seals, reported_at FROM keyring_holders
	UNION ALL
	SELECT 'gateway', node, '{}', '', reported_at FROM usage_nodes n WHERE closed_at IS NULL AND reported_at > now() - interval '1 minute'
		AND NOT EXISTS (SELECT FROM keyring_holders h WHERE h.node = n.node AND h.role = 'gateway' AND h.reported_at > now() - interval '1 minute');
ALTER VIEW keyring_members OWNER TO primecloud_owner;

-- +goose StatementBegin
-- A report and the moment from which a new key seals come one after the other: the
-- rotation has seen the report, or the answer names the new key.
CREATE FUNCTION report_keyring(of_process uuid, of_role text, label text, print text, held text[], sealing text, leaves boolean)
RETURNS TABLE (fingerprint text, seals text, since timestamptz) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
-- +goose StatementEnd
ALTER FUNCTION report_keyring(uuid, text, text, text, text[], text, boolean) OWNER TO primecloud_owner;
REVOKE ALL ON FUNCTION report_keyring(uuid, text, text, text, text[], text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION report_keyring(uuid, text, text, text, text[], text, boolean) TO primecloud_gateway, primecloud_worker;
