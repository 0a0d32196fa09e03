-- +goose Up
-- How many bytes of a bucket's sample are access logs that were delivered into
-- it: they count against no storage quota (docs/decisions/0030). It belongs to
-- the sample that was measured at that moment; beside any other it says nothing.
CREATE TABLE storage_delivered (
	bucket_id   uuid PRIMARY KEY REFERENCES buckets (id) ON DELETE CASCADE,
	account_id  uuid NOT NULL,
	measured_at timestamptz NOT NULL,
	bytes       bigint NOT NULL CHECK (bytes >= 0)
);
ALTER TABLE storage_delivered OWNER TO primecloud_owner;
ALTER TABLE storage_delivered ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage_delivered FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON storage_delivered TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY worker_all ON storage_delivered TO primecloud_worker USING (true) WITH CHECK (true);
CREATE POLICY gateway_reads ON storage_delivered FOR SELECT TO primecloud_gateway USING (true);
CREATE POLICY portal_own ON storage_delivered FOR SELECT TO primecloud_portal USING (account_id = current_account());
GRANT SELECT, INSERT, UPDATE (measured_at, bytes) ON storage_delivered TO primecloud_worker;
GRANT SELECT ON storage_delivered TO primecloud_gateway, primecloud_portal;

ALTER TABLE storage_listings ADD COLUMN delivered_bytes bigint NOT NULL DEFAULT 0;
