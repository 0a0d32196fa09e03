-- +goose Up
-- What each bucket held, once an hour. No row means that nobody knows: never
-- that it was empty. Samples outlive their bucket.
CREATE TABLE storage_samples (
	bucket_id           uuid NOT NULL,
	hour                timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
	account_id          uuid NOT NULL,
	current_bytes       bigint NOT NULL CHECK (current_bytes >= 0),
	noncurrent_bytes    bigint NOT NULL CHECK (noncurrent_bytes >= 0),
	incomplete_bytes    bigint NOT NULL CHECK (incomplete_bytes >= 0),
	objects             bigint NOT NULL CHECK (objects >= 0),
	noncurrent_versions bigint NOT NULL CHECK (noncurrent_versions >= 0),
	delete_markers      bigint NOT NULL CHECK (delete_markers >= 0),
	uploads             bigint NOT NULL CHECK (uploads >= 0),
	source              text NOT NULL CHECK (source IN ('listing', 'metrics')),
	started_at          timestamptz NOT NULL,
	measured_at         timestamptz NOT NULL CHECK (measured_at >= started_at),
	PRIMARY KEY (bucket_id, hour)
);
CREATE INDEX storage_samples_account ON storage_samples (account_id, hour);

-- Why an hour has no sample.
CREATE TABLE storage_gaps (
	bucket_id  uuid NOT NULL,
	hour       timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
	account_id uuid NOT NULL,
	error      text NOT NULL, -- the operator's: it may name backends
	failed_at  timestamptz NOT NULL,
	PRIMARY KEY (bucket_id, hour)
);

-- How far the listing of a bucket has got: the sums of all keys up to marker.
-- Who holds it lists; whose hold has run out has died.
CREATE TABLE storage_listings (
	bucket_id           uuid PRIMARY KEY REFERENCES buckets (id) ON DELETE CASCADE,
	holder              uuid NOT NULL,
	held_until          timestamptz NOT NULL,
	started_at          timestamptz NOT NULL,
	hours               timestamptz[] NOT NULL, -- in which it read
	marker              bytea NOT NULL,         -- keys are bytes, text could not hold them all
	current_bytes       bigint NOT NULL,
	noncurrent_bytes    bigint NOT NULL,
	objects             bigint NOT NULL,
	noncurrent_versions bigint NOT NULL,
	delete_markers      bigint NOT NULL
);

-- Multipart uploads that were seen and are not known to be over: MinIO's list
-- of them does not outlive its process (docs/decisions/0010).
CREATE TABLE storage_uploads (
	bucket_id uuid NOT NULL REFERENCES buckets (id) ON DELETE CASCADE,
	upload_id text COLLATE "C" NOT NULL,
	key       bytea NOT NULL,
	PRIMARY KEY (bucket_id, upload_id)
);

-- Buckets that are gone, so that their usage keeps a name and an end.
CREATE TABLE deleted_buckets (
	id         uuid PRIMARY KEY,
	account_id uuid NOT NULL,
	name       text NOT NULL,
	created_at timestamptz NOT NULL,
	deleted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX deleted_buckets_account ON deleted_buckets (account_id);

ALTER TABLE storage_samples OWNER TO primecloud_owner;
ALTER TABLE storage_gaps OWNER TO primecloud_owner;
ALTER TABLE storage_listings OWNER TO primecloud_owner;
ALTER TABLE storage_uploads OWNER TO primecloud_owner;
ALTER TABLE deleted_buckets OWNER TO primecloud_owner;

-- As the owner: whoever may delete a bucket need not be able to write history.
-- +goose StatementBegin
CREATE FUNCTION remember_deleted_bucket() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO public.deleted_buckets (id, account_id, name, created_at)
		VALUES (OLD.id, OLD.account_id, OLD.name, OLD.created_at);
	RETURN NULL;
END
$$;
-- +goose StatementEnd
ALTER FUNCTION remember_deleted_bucket() OWNER TO primecloud_owner;
REVOKE ALL ON FUNCTION remember_deleted_bucket() FROM PUBLIC;
CREATE TRIGGER remember_deleted AFTER DELETE ON buckets FOR EACH ROW
	WHEN (OLD.state <> 'creating') EXECUTE FUNCTION remember_deleted_bucket();

ALTER TABLE storage_samples ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage_samples FORCE ROW LEVEL SECURITY;
ALTER TABLE storage_gaps ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage_gaps FORCE ROW LEVEL SECURITY;
ALTER TABLE deleted_buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE deleted_buckets FORCE ROW LEVEL SECURITY;

CREATE POLICY owner_all ON storage_samples TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_all ON storage_gaps TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_all ON deleted_buckets TO primecloud_owner USING (true) WITH CHECK (true);

-- The worker measures: it opens the backends' credentials, and no customer's.
-- A sample of the present hour may be replaced by a later one.
CREATE POLICY worker_all ON storage_samples TO primecloud_worker USING (true) WITH CHECK (true);
CREATE POLICY worker_all ON storage_gaps TO primecloud_worker USING (true) WITH CHECK (true);
CREATE POLICY worker_reads ON deleted_buckets FOR SELECT TO primecloud_worker USING (true);
GRANT SELECT ON backends, deleted_buckets TO primecloud_worker;
GRANT SELECT, INSERT, UPDATE (current_bytes, noncurrent_bytes, incomplete_bytes, objects, noncurrent_versions, delete_markers, uploads, source, started_at, measured_at)
	ON storage_samples TO primecloud_worker;
GRANT SELECT, INSERT, DELETE, UPDATE (error, failed_at) ON storage_gaps TO primecloud_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON storage_listings, storage_uploads TO primecloud_worker;

CREATE POLICY portal_own ON storage_samples FOR SELECT TO primecloud_portal USING (account_id = current_account());
CREATE POLICY portal_own ON storage_gaps FOR SELECT TO primecloud_portal USING (account_id = current_account());
CREATE POLICY portal_own ON deleted_buckets FOR SELECT TO primecloud_portal USING (account_id = current_account());
GRANT SELECT ON storage_samples, deleted_buckets TO primecloud_portal;
GRANT SELECT (bucket_id, hour, account_id, failed_at) ON storage_gaps TO primecloud_portal;
