/** Kinds of entries of `pg_restore --list --create` that are rows, values or large objects. */
export const DATA_KINDS = [
  'TABLE DATA',
  'MATERIALIZED VIEW DATA',
  'SEQUENCE SET',
  'BLOB',
  'BLOBS',
  'BLOB METADATA',
  'COMMENT LARGE OBJECT',
  'COMMENT LARGE OBJECTS',
  'ACL LARGE OBJECT',
  'ACL LARGE OBJECTS',
];

/**
 * For every other kind a change of one object of the torture database, and what the fingerprint calls it. All are made
 * one after the other in one transaction. `$db` is the database's name.
 */
export const CHANGES: Record<string, [identity: string, sql: string]> = {
  'ACCESS METHOD': [
    'access method another_heap',
    'DROP ACCESS METHOD another_heap CASCADE; CREATE ACCESS METHOD another_heap TYPE INDEX HANDLER bthandler',
  ],
  'ACL COLUMN': ['grant column torture.customers.mood', 'REVOKE UPDATE (mood) ON customers FROM torture_app'],
  'ACL DATABASE': ['grant database', 'GRANT CREATE ON DATABASE $db TO torture_reader'],
  'ACL FOREIGN DATA WRAPPER': [
    'grant foreign data wrapper my_wrapper',
    'REVOKE USAGE ON FOREIGN DATA WRAPPER my_wrapper FROM torture_reader',
  ],
  'ACL FOREIGN SERVER': ['grant server far', 'GRANT USAGE ON FOREIGN SERVER far TO torture_app'],
  'ACL FUNCTION': [
    'grant system function pg_switch_wal()',
    'REVOKE EXECUTE ON FUNCTION pg_switch_wal() FROM torture_reader',
  ],
  'ACL LANGUAGE': ['grant language plmine', 'REVOKE USAGE ON LANGUAGE plmine FROM torture_reader'],
  'ACL SCHEMA': ['grant schema torture', 'GRANT CREATE ON SCHEMA torture TO torture_reader'],
  'ACL SEQUENCE': ['grant torture.numbers', 'GRANT SELECT ON SEQUENCE numbers TO torture_app'],
  'ACL TABLE': ['grant torture.customers', 'GRANT INSERT ON customers TO torture_reader'],
  'ACL TYPE': ['grant type torture.mood', 'GRANT USAGE ON TYPE mood TO PUBLIC'],
  AGGREGATE: [
    'function torture.product(double precision)',
    `CREATE OR REPLACE AGGREGATE product(float8) (SFUNC = float8mul, STYPE = float8, INITCOND = '2')`,
  ],
  CAST: [
    'cast (torture.pair AS torture.mood)',
    'DROP CAST (pair AS mood); CREATE CAST (pair AS mood) WITH INOUT AS IMPLICIT',
  ],
  'CHECK CONSTRAINT': [
    'constraint torture.unvalidated.unvalidated_id',
    'ALTER TABLE unvalidated DROP CONSTRAINT unvalidated_id, ADD CONSTRAINT unvalidated_id CHECK (id > 6) NOT VALID',
  ],
  COLLATION: ['collation torture.plain', 'ALTER COLLATION plain OWNER TO torture_other'],
  COMMENT: ['comment table torture.customers', `COMMENT ON TABLE customers IS 'another'`],
  CONSTRAINT: [
    'constraint torture.customers.customers_during_excl',
    'ALTER TABLE customers DROP CONSTRAINT customers_during_excl',
  ],
  CONVERSION: ['conversion torture.from_latin', 'ALTER CONVERSION from_latin OWNER TO torture_other'],
  DATABASE: ['database', 'ALTER DATABASE $db CONNECTION LIMIT 7'],
  'DATABASE PROPERTIES': ['setting work_mem of the database', `ALTER DATABASE $db SET work_mem = '9MB'`],
  DEFAULT: ['column torture.bookings.id', 'ALTER TABLE bookings ALTER id SET DEFAULT 5'],
  'DEFAULT ACL': [
    'default privileges of torture_owner in torture for r',
    'ALTER DEFAULT PRIVILEGES FOR ROLE torture_owner IN SCHEMA torture GRANT INSERT ON TABLES TO torture_reader',
  ],
  DOMAIN: ['domain torture.positive', 'ALTER DOMAIN positive SET DEFAULT 2'],
  'EVENT TRIGGER': ['event trigger watched', 'ALTER EVENT TRIGGER watched DISABLE'],
  EXTENSION: ['extension citext', 'ALTER EXTENSION citext SET SCHEMA public'],
  'FK CONSTRAINT': [
    'constraint torture.bookings.bookings_customer_id_fkey',
    'ALTER TABLE bookings ALTER CONSTRAINT bookings_customer_id_fkey NOT DEFERRABLE',
  ],
  'FOREIGN DATA WRAPPER': [
    'foreign data wrapper my_wrapper',
    `ALTER FOREIGN DATA WRAPPER my_wrapper OPTIONS (SET debug 'false')`,
  ],
  'FOREIGN TABLE': [
    'table torture.far_away',
    `ALTER FOREIGN TABLE far_away OPTIONS (SET table_name 'other')`,
  ],
  FUNCTION: [
    'function torture.doubled(n integer)',
    'CREATE OR REPLACE FUNCTION doubled(n int) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT n * 3; END',
  ],
  INDEX: [
    'index torture.bookings_note',
    'DROP INDEX bookings_note; CREATE INDEX bookings_note ON bookings (lower(note))',
  ],
  'INDEX ATTACH': [
    'inheritance torture.events_rest_a_kind_idx',
    'ALTER TABLE events_rest DETACH PARTITION events_rest_a',
  ],
  'MATERIALIZED VIEW': ['view torture.totals', 'ALTER MATERIALIZED VIEW totals SET (fillfactor = 50)'],
  OPERATOR: ['operator torture.===(integer,integer)', 'ALTER OPERATOR === (int, int) SET (RESTRICT = NONE)'],
  'OPERATOR CLASS': [
    'operator class torture.backwards using btree',
    'ALTER OPERATOR CLASS backwards USING btree OWNER TO torture_other',
  ],
  'OPERATOR FAMILY': [
    'operator family torture.num_family using btree',
    'ALTER OPERATOR FAMILY num_family USING btree ADD FUNCTION 2 (int, int) btint4sortsupport(internal)',
  ],
  POLICY: [
    'policy torture.customers.everything',
    `ALTER POLICY everything ON customers USING (status IN ('held', 'x'))`,
  ],
  'PROCEDURAL LANGUAGE': ['language plmine', 'ALTER LANGUAGE plmine OWNER TO torture_owner'],
  PROCEDURE: ['function torture.tidy(INOUT n integer)', 'ALTER PROCEDURE tidy SECURITY DEFINER'],
  PUBLICATION: ['publication some_rows', `ALTER PUBLICATION some_rows SET (publish = 'insert, delete')`],
  'PUBLICATION TABLE': [
    'publication some_rows of table torture.bookings',
    'ALTER PUBLICATION some_rows SET TABLE bookings (id, customer_id) WHERE (customer_id > 101)',
  ],
  'PUBLICATION TABLES IN SCHEMA': [
    'publication whole_schema of schema torture',
    'ALTER PUBLICATION whole_schema ADD TABLES IN SCHEMA torture',
  ],
  'ROW SECURITY': ['table torture.bookings', 'ALTER TABLE bookings DISABLE ROW LEVEL SECURITY'],
  RULE: [
    'rule torture.cached.no_deleting',
    'CREATE OR REPLACE RULE no_deleting AS ON DELETE TO cached DO ALSO NOTHING',
  ],
  SCHEMA: ['schema torture', 'ALTER SCHEMA torture OWNER TO torture_other'],
  SEQUENCE: ['sequence torture.numbers', 'ALTER SEQUENCE numbers CACHE 7'],
  'SEQUENCE OWNED BY': ['sequence torture.bookings_id_seq', 'ALTER SEQUENCE bookings_id_seq OWNED BY NONE'],
  SERVER: ['server far', `ALTER SERVER far OPTIONS (SET host '192.0.2.2')`],
  'SHELL TYPE': ['type torture.shell', 'DROP TYPE shell'],
  STATISTICS: [
    'statistics torture.bookings_statistics',
    'ALTER STATISTICS bookings_statistics SET STATISTICS 7',
  ],
  SUBSCRIPTION: ['subscription from_afar', 'ALTER SUBSCRIPTION from_afar SET (binary = true)'],
  TABLE: ['table torture.customers', 'ALTER TABLE customers SET (fillfactor = 50)'],
  'TABLE ATTACH': ['table torture.by_hash_1', 'ALTER TABLE by_hash DETACH PARTITION by_hash_1'],
  'TEXT SEARCH CONFIGURATION': [
    'text search configuration torture.words',
    'ALTER TEXT SEARCH CONFIGURATION words DROP MAPPING FOR word',
  ],
  'TEXT SEARCH DICTIONARY': [
    'text search dictionary torture.simple_words',
    'ALTER TEXT SEARCH DICTIONARY simple_words (STOPWORDS = dutch)',
  ],
  'TEXT SEARCH PARSER': [
    'text search parser torture.my_parser',
    'DROP TEXT SEARCH PARSER my_parser; CREATE TEXT SEARCH PARSER my_parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype)',
  ],
  'TEXT SEARCH TEMPLATE': [
    'text search template torture.my_template',
    'DROP TEXT SEARCH TEMPLATE my_template; CREATE TEXT SEARCH TEMPLATE my_template (LEXIZE = dsimple_lexize)',
  ],
  TRANSFORM: ['transform for torture.num language plmine', 'DROP TRANSFORM FOR num LANGUAGE plmine'],
  TRIGGER: ['trigger torture.bookings.touched', 'ALTER TABLE bookings ENABLE REPLICA TRIGGER touched'],
  TYPE: ['enum torture.mood', `ALTER TYPE mood ADD VALUE 'sad'`],
  'USER MAPPING': ['user mapping for torture_app server far', 'DROP USER MAPPING FOR torture_app SERVER far'],
  VIEW: ['view torture.open_customers', 'ALTER VIEW open_customers SET (check_option = cascaded)'],
};

/** What a listing does not show as entries of their own. */
export const MORE_CHANGES: [identity: string, sql: string][] = [
  ['column torture.customers.raw', 'ALTER TABLE customers ALTER raw SET STORAGE MAIN'],
  ['column torture.customers.name', 'ALTER TABLE customers ALTER name SET STATISTICS 400'],
  ['column torture.customers.tags', 'ALTER TABLE customers ALTER tags SET COMPRESSION pglz'],
  ['column torture.customers.id', 'ALTER TABLE customers ALTER id SET (n_distinct = 0.6)'],
  ['column torture.open_customers.price', 'ALTER VIEW open_customers ALTER price SET DEFAULT 6'],
  ['column torture.far_away.id', `ALTER FOREIGN TABLE far_away ALTER id OPTIONS (SET column_name 'x')`],
  [
    'order of columns torture.by_hash',
    'ALTER TABLE by_hash ADD a int, ADD b int; ALTER TABLE by_hash DROP a',
  ],
  ['inheritance torture.birds', 'ALTER TABLE birds NO INHERIT animals'],
  [
    'tablespace of "Other Schema".elsewhere_too',
    'ALTER INDEX "Other Schema".elsewhere_too SET TABLESPACE pg_default',
  ],
  ['index torture.bookings_identity', 'ALTER TABLE bookings REPLICA IDENTITY DEFAULT'],
  ['index torture.bookings_pkey', 'ALTER TABLE bookings SET WITHOUT CLUSTER'],
  ['trigger torture.events_2030.partitioned', 'ALTER TABLE events_2030 DISABLE TRIGGER partitioned'],
  ['view torture.counting', 'ALTER VIEW counting OWNER TO torture_other'],
  ['view torture.later', 'REFRESH MATERIALIZED VIEW later'],
  ['function torture.touch()', 'ALTER FUNCTION touch() OWNER TO torture_other'],
  [
    'grant function torture.total(customer bigint, floor integer)',
    'GRANT EXECUTE ON FUNCTION total TO torture_reader',
  ],
  ['type torture.pair', 'ALTER TYPE pair OWNER TO torture_other'],
  ['type torture.num', `ALTER TYPE num SET (RECEIVE = NONE)`],
  ['range torture.spans', 'ALTER TYPE spans OWNER TO torture_other'],
  ['comment table column torture.customers.price', `COMMENT ON COLUMN customers.price IS 'gross'`],
  ['comment database', `COMMENT ON DATABASE $db IS 'another'`],
  [
    'setting statement_timeout of torture_app',
    `ALTER ROLE torture_app IN DATABASE $db SET statement_timeout = '34s'`,
  ],
  // No provider of labels comes with PostgreSQL.
  [
    'security label mine on table torture.typed',
    `SET allow_system_table_mods = on; INSERT INTO pg_seclabel VALUES ('torture.typed'::regclass, 'pg_class'::regclass, 0, 'mine', 'secret')`,
  ],
  [
    'security label mine on database',
    `INSERT INTO pg_shseclabel SELECT oid, 'pg_database'::regclass, 'mine', 'secret' FROM pg_database WHERE datname = '$db'`,
  ],
  ['collation version torture.plain', `UPDATE pg_collation SET collversion = '7' WHERE collname = 'plain'`],
];
