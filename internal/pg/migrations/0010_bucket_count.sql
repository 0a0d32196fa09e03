-- +goose Up
-- How many buckets an account may have. NULL: as many as the gateways' setting
-- max_buckets says.
ALTER TABLE account_limits ADD COLUMN buckets bigint CHECK (buckets > 0);
