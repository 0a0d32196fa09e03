-- +goose Up
-- An epoch is over when its journal is accounted for: it holds no period open
-- any more.
ALTER TABLE usage_nodes ADD COLUMN closed_at timestamptz;
GRANT UPDATE (closed_at) ON usage_nodes TO primecloud_gateway;
