-- +goose Up
-- What server is behind a backend's endpoints: the gateway knows how MinIO
-- spells version ids and upload ids, and of others only what S3 says.
ALTER TABLE backends ADD COLUMN kind text NOT NULL DEFAULT 'minio' CHECK (kind IN ('minio', 's3'));
