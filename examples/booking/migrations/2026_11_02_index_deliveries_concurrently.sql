-- Good, and cannot run inside a transaction: the delivery worker looks for what is due, and building the index
-- CONCURRENTLY keeps the table writable. No IF NOT EXISTS: it would accept the invalid index of a killed build.
CREATE INDEX CONCURRENTLY idx_webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE status = 'pending';
