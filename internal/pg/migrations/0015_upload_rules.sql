-- +goose Up
-- Rules of buckets' lifecycles for unfinished multipart uploads, which MinIO does
-- not keep. A version is what one request has put; the bucket's document in the
-- backend names the one that is in force (docs/decisions/0032). Versions that it
-- does not name are forgotten after an hour.
CREATE TABLE bucket_upload_rules (
	bucket_id  uuid NOT NULL REFERENCES buckets (id) ON DELETE CASCADE,
	version    uuid NOT NULL,
	position   integer NOT NULL CHECK (position BETWEEN 0 AND 999), -- among all rules that were put
	rule_id    text NOT NULL CHECK (length(rule_id) BETWEEN 1 AND 255),
	enabled    boolean NOT NULL,
	filter     text NOT NULL CHECK (filter IN ('', 'Prefix', 'Filter', 'Filter/Prefix')), -- where the document has the prefix
	prefix     text NOT NULL CHECK (octet_length(prefix) <= 1024),
	days       integer NOT NULL CHECK (days > 0),
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (bucket_id, version, position)
);
ALTER TABLE bucket_upload_rules OWNER TO primecloud_owner;
ALTER TABLE bucket_upload_rules ENABLE ROW LEVEL SECURITY;
ALTER TABLE bucket_upload_rules FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON bucket_upload_rules TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY gateway_all ON bucket_upload_rules TO primecloud_gateway USING (true) WITH CHECK (true);
CREATE POLICY worker_reads ON bucket_upload_rules FOR SELECT TO primecloud_worker USING (true);
GRANT SELECT, INSERT ON bucket_upload_rules TO primecloud_gateway;
GRANT SELECT ON bucket_upload_rules TO primecloud_worker;

-- Who may DELETE of a table may lock all of it; and gateways read this one.
-- +goose StatementBegin
CREATE FUNCTION forget_upload_rules(of_bucket uuid, named uuid) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM public.bucket_upload_rules WHERE bucket_id = of_bucket AND version <> named AND created_at < now() - interval '1 hour';
END
$$;
-- +goose StatementEnd
ALTER FUNCTION forget_upload_rules(uuid, uuid) OWNER TO primecloud_owner;
REVOKE ALL ON FUNCTION forget_upload_rules(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_upload_rules(uuid, uuid) TO primecloud_gateway, primecloud_worker;

-- When an upload began. Of those that an older version saw, it is when they were
-- seen: no rule ends them too soon.
ALTER TABLE storage_uploads ADD COLUMN initiated_at timestamptz NOT NULL DEFAULT now();
