/** A bit of everything that a migration may lock. */
export const everything = `
  CREATE INDEX orders_total ON orders (total);
  CREATE UNIQUE INDEX orders_pair ON orders (customer_id, id);
  ALTER TABLE orders ADD CONSTRAINT positive CHECK (total >= 0) NOT VALID;
  CREATE TABLE notes (id int PRIMARY KEY, order_id bigint REFERENCES orders ON DELETE CASCADE, body text);
  ALTER TABLE notes ADD CONSTRAINT later FOREIGN KEY (id) REFERENCES customers (id) NOT VALID;
  CREATE VIEW dear AS SELECT id, total FROM orders WHERE total > 100;
  CREATE MATERIALIZED VIEW dearest AS SELECT max(total) AS total FROM orders;
  CREATE UNIQUE INDEX dearest_total ON dearest (total);
  CREATE SEQUENCE numbers;
  CREATE TYPE mood AS ENUM ('good');
  CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER idle BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION nothing();
  CREATE POLICY own ON customers USING (true);
  CREATE RULE quiet AS ON DELETE TO notes DO INSTEAD NOTHING;
  CREATE TABLE parts (id int, at date NOT NULL) PARTITION BY RANGE (at);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TABLE parts_other PARTITION OF parts DEFAULT;
  CREATE TABLE parts_2 (id int, at date NOT NULL);
  CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);
  CREATE STATISTICS both_columns ON id, total FROM orders;
  CREATE SCHEMA archive;
  CREATE PUBLICATION changes FOR TABLE notes;`;

/** One of each kind; each is measured alone, in a transaction that is taken back. */
export const STATEMENTS = [
  'ALTER TABLE orders ADD COLUMN note text',
  'ALTER TABLE orders ADD COLUMN IF NOT EXISTS total int',
  'ALTER TABLE orders ADD COLUMN other bigint REFERENCES customers',
  'ALTER TABLE orders ALTER COLUMN total SET DEFAULT 5',
  'ALTER TABLE orders ALTER COLUMN total DROP NOT NULL',
  'ALTER TABLE orders ALTER COLUMN total SET STATISTICS 500',
  'ALTER TABLE orders ALTER COLUMN total SET (n_distinct = 5)',
  'ALTER TABLE customers ALTER COLUMN name SET STORAGE EXTERNAL',
  'ALTER TABLE customers ALTER COLUMN tier TYPE text',
  'ALTER TABLE orders ADD CONSTRAINT more CHECK (total > -5)',
  'ALTER TABLE orders ADD CONSTRAINT more CHECK (total > -5) NOT VALID',
  'ALTER TABLE orders VALIDATE CONSTRAINT positive',
  'ALTER TABLE notes VALIDATE CONSTRAINT later',
  'ALTER TABLE orders DROP CONSTRAINT positive',
  'ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey',
  'ALTER TABLE orders DROP COLUMN customer_id',
  'ALTER TABLE orders DROP COLUMN total CASCADE',
  'ALTER TABLE notes ADD FOREIGN KEY (id) REFERENCES customers',
  'ALTER TABLE notes ADD FOREIGN KEY (id) REFERENCES customers NOT VALID',
  'ALTER TABLE orders ADD CONSTRAINT pair UNIQUE USING INDEX orders_pair',
  'ALTER TABLE orders DISABLE TRIGGER idle',
  'ALTER TABLE orders SET (fillfactor = 90)',
  'ALTER TABLE orders RESET (fillfactor)',
  'ALTER TABLE orders ENABLE ROW LEVEL SECURITY',
  'ALTER TABLE orders REPLICA IDENTITY FULL',
  'ALTER TABLE orders OWNER TO CURRENT_USER',
  'ALTER TABLE orders SET SCHEMA archive',
  'ALTER TABLE orders RENAME TO orders_old',
  'ALTER TABLE orders RENAME COLUMN total TO amount',
  'ALTER TABLE orders RENAME CONSTRAINT positive TO not_negative',
  'ALTER TABLE orders CLUSTER ON orders_total',
  'ALTER TABLE parts ADD COLUMN note text',
  'ALTER TABLE ONLY parent ALTER COLUMN id SET DEFAULT 1',
  'ALTER TABLE parts ALTER COLUMN id SET NOT NULL',
  'ALTER TABLE parts DROP COLUMN id',
  'ALTER TABLE parts SET SCHEMA archive',
  'ALTER TABLE parts RENAME COLUMN id TO number',
  'ALTER TABLE parts RENAME TO pieces',
  'ALTER TABLE parts OWNER TO CURRENT_USER',
  'ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE',
  'CREATE INDEX more ON parts (id)',
  'CREATE TRIGGER more BEFORE UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION nothing()',
  'TRUNCATE parts',
  'LOCK TABLE parts',
  "ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
  'ALTER TABLE parts DETACH PARTITION parts_1',
  'ALTER TABLE parent ADD COLUMN note text',
  'ALTER TABLE child NO INHERIT parent',
  'ALTER INDEX orders_total RENAME TO orders_amount',
  'ALTER INDEX orders_total SET (fillfactor = 80)',
  'ALTER VIEW dear RENAME TO costly',
  'ALTER VIEW dear SET (security_barrier = true)',
  'ALTER SEQUENCE numbers INCREMENT BY 2',
  "ALTER TYPE mood ADD VALUE 'bad'",
  'ALTER TRIGGER idle ON orders RENAME TO still',
  'ALTER POLICY own ON customers USING (false)',
  'CREATE INDEX more ON orders (total)',
  'CREATE INDEX IF NOT EXISTS orders_total ON orders (total)',
  'CREATE TABLE more (id int REFERENCES orders)',
  'CREATE TABLE more (LIKE orders)',
  "CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')",
  'CREATE TABLE grandchild () INHERITS (child)',
  'CREATE TABLE more AS SELECT * FROM orders',
  'CREATE TRIGGER more BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION nothing()',
  'CREATE RULE more AS ON DELETE TO orders DO INSTEAD NOTHING',
  'CREATE POLICY more ON orders USING (true)',
  'CREATE STATISTICS more ON id, customer_id FROM orders',
  'CREATE OR REPLACE VIEW dear AS SELECT id, total FROM orders WHERE total > 200',
  'CREATE VIEW more AS SELECT * FROM orders',
  'CREATE PUBLICATION more FOR TABLE orders',
  "COMMENT ON TABLE orders IS 'x'",
  'GRANT SELECT ON orders TO PUBLIC',
  'DROP TABLE notes',
  'DROP TABLE orders CASCADE',
  'DROP TABLE parts_1',
  'DROP TABLE parts',
  'DROP VIEW dear',
  'DROP MATERIALIZED VIEW dearest',
  'DROP INDEX orders_total',
  'DROP TRIGGER idle ON orders',
  'DROP POLICY own ON customers',
  'DROP RULE quiet ON notes',
  'DROP SEQUENCE numbers',
  'DROP STATISTICS both_columns',
  'TRUNCATE notes',
  'TRUNCATE orders CASCADE',
  'LOCK TABLE orders IN SHARE MODE',
  'LOCK TABLE orders',
  'LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE',
  'REFRESH MATERIALIZED VIEW dearest',
  'REFRESH MATERIALIZED VIEW CONCURRENTLY dearest',
  'CLUSTER orders USING orders_total',
  'REINDEX TABLE orders',
  'REINDEX INDEX orders_total',
  'INSERT INTO notes VALUES (1)',
  'UPDATE orders SET total = 1 WHERE id = 1',
  'DELETE FROM parent',
  'ANALYZE orders',
];
