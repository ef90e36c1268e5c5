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

/** What its commands write and look at. */
export type Files = Record<'fails' | 'said' | 'log' | 'jam', string>;

const shell = (script: string) => ({ run: ['sh', '-c', script] });
const way = ({ said, log }: Files, to: string, unless = '') => ({
  command: shell(`${unless}echo ${to} > ${said}; echo ${to} >> ${log}; echo ${to}`),
});
/** A unit a batch, so that a worker can be killed between two; a smoke test that fails on demand. */
export const settings = (files: Files) => ({
  inventory: {
    role: 'stock_keeper',
    batchRows: 1,
    counts: ['PAID'],
    tables: {
      units: { table: 'units', columns: { id: 'no', capacity: 'most', sold: 'taken' } },
      ledger: { table: 'ledger', columns: { id: 'no', unit: 'unit', createdAt: 'made' } },
      bookings: { table: 'sales', columns: { id: 'no', unit: 'unit', status: 'state' } },
      audit: { table: 'trail' },
    },
  },
  'environments.production.inventory': {
    confirmations: {
      stop: way(files, 'off'),
      resume: way(files, 'on', `test ! -e ${files.jam} || exit 9; `),
      state: { command: shell(`cat ${files.said}`) },
      settleSeconds: 1,
    },
    rejections: { command: shell('echo 0') },
  },
  'environments.production.smoke': shell(`test ! -e ${files.fails}`),
});

export const DRIFT = 'UPDATE units SET taken = 0 WHERE no IN (1, 2)';
/** Sells five of the four of unit 3, as its ledger and bookings say too. */
export const OVERSELL = `
  INSERT INTO sales (unit, state) SELECT 3, 'PAID' FROM generate_series(1, 3);
  INSERT INTO ledger (unit, quantity) VALUES (3, 3)`;

export const ROWS = `
  SELECT 'unit' AS of, u::text FROM units u UNION ALL SELECT 'entry', l::text FROM ledger l UNION ALL SELECT 'sale', s::text FROM sales s ORDER BY 1, 2`;
