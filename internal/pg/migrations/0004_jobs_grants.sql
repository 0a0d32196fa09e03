-- +goose Up
-- The tables of River, which its own migrations make before these
-- (migrate.go): jobs belong to the worker.
ALTER TABLE river_job OWNER TO primecloud_owner;
ALTER TABLE river_leader OWNER TO primecloud_owner;
ALTER TABLE river_queue OWNER TO primecloud_owner;
ALTER TABLE river_notification OWNER TO primecloud_owner;
ALTER TABLE river_migration OWNER TO primecloud_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON river_job, river_leader, river_queue, river_notification TO primecloud_worker;
GRANT USAGE ON SEQUENCE river_job_id_seq, river_notification_id_seq TO primecloud_worker;
