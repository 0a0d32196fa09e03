-- +goose Up
-- Where the access log lines about a bucket are delivered. The target is a
-- name, as in S3: deleted and made again, it is the target again. It is looked
-- up among the buckets of the source's own account and nowhere else.
CREATE TABLE bucket_logging (
	bucket_id     uuid PRIMARY KEY REFERENCES buckets (id) ON DELETE CASCADE,
	target_name   text NOT NULL CHECK (length(target_name) BETWEEN 3 AND 63),
	target_prefix text NOT NULL CHECK (octet_length(target_prefix) <= 512),
	-- '' is what S3 does when nothing is said: as simple.
	key_format    text NOT NULL CHECK (key_format IN ('', 'simple', 'event-time', 'delivery-time')),
	enabled_at    timestamptz NOT NULL DEFAULT now() -- earlier requests are not delivered
);

-- A node's memory has the row with its bucket. That of a deleted bucket is
-- told by the bucket's own trigger.
-- +goose StatementBegin
CREATE FUNCTION notify_bucket_logging() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('primecloud', 'bucket:' || account_id || '/' || name) FROM buckets
		WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.bucket_id ELSE NEW.bucket_id END;
	RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON bucket_logging FOR EACH ROW EXECUTE FUNCTION notify_bucket_logging();

ALTER TABLE bucket_logging OWNER TO primecloud_owner;
ALTER FUNCTION notify_bucket_logging() OWNER TO primecloud_owner;

ALTER TABLE bucket_logging ENABLE ROW LEVEL SECURITY;
ALTER TABLE bucket_logging FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON bucket_logging TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY gateway_all ON bucket_logging TO primecloud_gateway USING (true) WITH CHECK (true);
-- Of the buckets that it sees: they have a policy of their own.
CREATE POLICY portal_own ON bucket_logging FOR SELECT TO primecloud_portal USING (EXISTS (SELECT FROM buckets WHERE id = bucket_id));
CREATE POLICY worker_reads ON bucket_logging FOR SELECT TO primecloud_worker USING (true);
GRANT SELECT, INSERT, DELETE, UPDATE (target_name, target_prefix, key_format) ON bucket_logging TO primecloud_gateway;
GRANT SELECT ON bucket_logging TO primecloud_portal, primecloud_worker;
