-- +goose Up
-- Cumulative readings of the gateways' meters: for each epoch (a process's
-- set of counters) and cell the largest total seen. The zero uuid is "-".
CREATE TABLE usage_readings (
	epoch                  uuid NOT NULL,
	account_id             uuid NOT NULL,
	bucket_id              uuid NOT NULL,
	key_id                 uuid NOT NULL,
	class                  text NOT NULL CHECK (class IN ('A', 'B', 'free', 'unbilled')),
	hour                   timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
	requests               bigint NOT NULL CHECK (requests >= 0),
	ingress_bytes          bigint NOT NULL CHECK (ingress_bytes >= 0),
	egress_bytes           bigint NOT NULL CHECK (egress_bytes >= 0),
	declared_ingress_bytes bigint NOT NULL CHECK (declared_ingress_bytes >= 0),
	declared_egress_bytes  bigint NOT NULL CHECK (declared_egress_bytes >= 0),
	read_at                timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (epoch, account_id, bucket_id, key_id, class, hour)
);
CREATE INDEX usage_readings_account ON usage_readings (account_id, hour);

-- How far each epoch has got: what it counted before flushed_at is written.
CREATE TABLE usage_nodes (
	epoch      uuid PRIMARY KEY,
	node       text NOT NULL,
	flushed_at timestamptz NOT NULL
);

CREATE VIEW usage_hourly WITH (security_invoker = true) AS
	SELECT account_id, bucket_id, key_id, class, hour,
		sum(requests)::bigint AS requests,
		sum(ingress_bytes)::bigint AS ingress_bytes,
		sum(egress_bytes)::bigint AS egress_bytes,
		sum(declared_ingress_bytes)::bigint AS declared_ingress_bytes,
		sum(declared_egress_bytes)::bigint AS declared_egress_bytes
	FROM usage_readings GROUP BY account_id, bucket_id, key_id, class, hour;

ALTER TABLE usage_readings OWNER TO primecloud_owner;
ALTER TABLE usage_nodes OWNER TO primecloud_owner;
ALTER VIEW usage_hourly OWNER TO primecloud_owner;

ALTER TABLE usage_readings ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_readings FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON usage_readings TO primecloud_owner USING (true) WITH CHECK (true);
CREATE POLICY gateway_all ON usage_readings TO primecloud_gateway USING (true) WITH CHECK (true);
CREATE POLICY portal_own ON usage_readings FOR SELECT TO primecloud_portal USING (account_id = current_account());
CREATE POLICY worker_reads ON usage_readings FOR SELECT TO primecloud_worker USING (true);

-- Readings only grow: nobody but the owner may delete them, or move them to
-- another cell.
GRANT SELECT, INSERT, UPDATE (requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes, read_at)
	ON usage_readings TO primecloud_gateway;
GRANT SELECT, INSERT, UPDATE (flushed_at) ON usage_nodes TO primecloud_gateway;
GRANT SELECT ON usage_hourly TO primecloud_gateway, primecloud_portal, primecloud_worker;
GRANT SELECT ON usage_readings TO primecloud_portal, primecloud_worker;
GRANT SELECT ON usage_nodes TO primecloud_worker;
