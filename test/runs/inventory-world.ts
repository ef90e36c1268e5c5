/** Names of somebody else throughout: nothing here is called as the defaults are. */
export const TABLES = `
  CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
  CREATE ROLE stock_keeper NOLOGIN; GRANT stock_keeper TO runbooks_migrator; SET ROLE booking_owner;
  CREATE TABLE units (no int PRIMARY KEY, most int, taken int);
  CREATE TABLE sales (no serial PRIMARY KEY, unit int NOT NULL, state text NOT NULL);
  CREATE TABLE ledger (no serial PRIMARY KEY, unit int REFERENCES units, quantity int, made timestamptz DEFAULT now());
  CREATE INDEX ON ledger (unit); CREATE INDEX ON sales (unit);
  CREATE TABLE trail (id serial PRIMARY KEY, entity_id text, action text);
  GRANT SELECT, UPDATE (taken) ON units TO stock_keeper; GRANT SELECT ON ledger, sales TO stock_keeper;
  GRANT INSERT ON trail TO stock_keeper; GRANT USAGE ON SEQUENCE trail_id_seq TO stock_keeper; RESET ROLE`;

/** Twenty units of which two of four are sold, as counters, ledger and bookings say. */
export const FILL = `
  TRUNCATE units, ledger, sales, trail;
  INSERT INTO units SELECT n, 4, 2 FROM generate_series(1, 20) n;
  INSERT INTO sales (unit, state) SELECT n, 'PAID' FROM generate_series(1, 20) n, generate_series(1, 2);
  INSERT INTO ledger (unit, quantity) SELECT unit, 1 FROM sales`;
