-- One of every kind of object that a role may make that is no superuser.
CREATE SCHEMA torture AUTHORIZATION torture_owner;
CREATE SCHEMA "Other Schema" AUTHORIZATION torture_other;
GRANT USAGE ON SCHEMA torture TO torture_reader, torture_other;
COMMENT ON SCHEMA torture IS 'it is all in here';
CREATE EXTENSION hstore SCHEMA torture;
CREATE EXTENSION pg_trgm SCHEMA torture;

SET ROLE torture_owner;
SET search_path = torture;

CREATE TYPE mood AS ENUM ('ok', 'great');
CREATE TYPE pair AS (left_one int, right_one text COLLATE "C");
CREATE DOMAIN positive AS int DEFAULT 1 NOT NULL CONSTRAINT above_zero CHECK (VALUE > 0);
CREATE COLLATION plain FROM "C";
CREATE TYPE spans AS RANGE (subtype = float8, multirange_type_name = many_spans);
GRANT USAGE ON TYPE mood TO torture_reader;
REVOKE USAGE ON TYPE mood FROM PUBLIC;
COMMENT ON TYPE pair IS 'two of them';

CREATE TABLE customers (
  id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5) PRIMARY KEY,
  name text COLLATE plain NOT NULL DEFAULT 'nobody',
  status varchar(20) NOT NULL CHECK (status IN ('held', 'confirmed')),
  mood mood DEFAULT 'ok',
  size positive,
  twice pair,
  price numeric(10, 2),
  gross numeric(12, 2) GENERATED ALWAYS AS (price * 1.19) STORED,
  during tstzrange,
  tags hstore,
  at timestamptz NOT NULL DEFAULT now(),
  took interval, amount money, ratio float8, raw bytea,
  EXCLUDE USING gist (during WITH &&)
);
ALTER TABLE customers ALTER raw SET STORAGE EXTERNAL, ALTER name SET STATISTICS 500, ALTER name SET COMPRESSION pglz,
  ALTER id SET (n_distinct = 0.5), SET (fillfactor = 70, toast.autovacuum_enabled = off);
COMMENT ON TABLE customers IS 'with "quotes" and ''more''';
COMMENT ON COLUMN customers.price IS 'net';
GRANT SELECT ON customers TO torture_reader;
GRANT UPDATE (mood), SELECT (price) ON customers TO torture_app WITH GRANT OPTION;
INSERT INTO customers (name, status, twice, price, during, tags, took, amount, ratio, raw)
  SELECT 'c' || i, CASE i % 2 WHEN 0 THEN 'held' ELSE 'confirmed' END, (i, 'x')::pair, i * 1.25, tstzrange(timestamptz '2030-01-01' + i * interval '1 h', timestamptz '2030-01-01' + (i + 1) * interval '1 h'),
    hstore('k', i::text), i * interval '1 day 2 min', i::text::money, 1.0::float8 / i, decode(md5(i::text), 'hex') FROM generate_series(1, 200) i;

CREATE TABLE bookings (
  id serial PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES customers ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  note text
);
INSERT INTO bookings (customer_id, note) SELECT 100 + 5 * (i % 200), md5(i::text) FROM generate_series(1, 500) i;
SET CONSTRAINTS ALL IMMEDIATE;
CREATE INDEX bookings_note ON bookings (lower(note) text_pattern_ops) INCLUDE (customer_id) WHERE note <> '';
CREATE INDEX bookings_trigrams ON bookings USING gin (note gin_trgm_ops);
ALTER INDEX bookings_note ALTER COLUMN 1 SET STATISTICS 300;
COMMENT ON INDEX bookings_note IS 'for searching';
COMMENT ON CONSTRAINT bookings_pkey ON bookings IS 'the key';
CREATE UNIQUE INDEX bookings_identity ON bookings (id, customer_id);
ALTER TABLE bookings REPLICA IDENTITY USING INDEX bookings_identity;
ALTER TABLE bookings CLUSTER ON bookings_pkey;
CREATE STATISTICS bookings_statistics (ndistinct, dependencies) ON customer_id, (lower(note)) FROM bookings;

CREATE TABLE events (id bigint, day date NOT NULL, kind text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_2030 PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT PARTITION BY RANGE (day);
CREATE TABLE events_rest_a PARTITION OF events_rest (CHECK (kind <> 'z')) FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
CREATE INDEX events_kind ON events (kind);
INSERT INTO events SELECT i, date '2030-01-01' + i, 'a' FROM generate_series(1, 400) i;
CREATE TABLE event_notes (event bigint, day date, FOREIGN KEY (event, day) REFERENCES events);
INSERT INTO event_notes SELECT id, day FROM events WHERE id < 50;
CREATE TABLE by_hash (id int REFERENCES bookings) PARTITION BY HASH (id);
CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO by_hash SELECT i FROM generate_series(1, 20) i;

CREATE TABLE animals (name text CHECK (name <> ''), legs int DEFAULT 4);
CREATE TABLE birds (wings int, CHECK (wings > 0) NO INHERIT) INHERITS (animals);
ALTER TABLE birds ALTER legs SET DEFAULT 2;
INSERT INTO animals VALUES ('dog'); INSERT INTO birds VALUES ('owl', 2, 2);
CREATE TABLE typed OF pair (PRIMARY KEY (left_one));
CREATE UNLOGGED TABLE cached AS SELECT 1 AS id, 'kept'::text AS value;
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES; INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE unvalidated (id int, parent int);
INSERT INTO unvalidated VALUES (1, 77);
ALTER TABLE unvalidated ADD CONSTRAINT unvalidated_parent FOREIGN KEY (parent) REFERENCES bookings NOT VALID;
ALTER TABLE unvalidated ADD CONSTRAINT unvalidated_id CHECK (id > 5) NOT VALID;
CREATE TABLE "Odd ""names" ("a column" int PRIMARY KEY, "select" text);
INSERT INTO "Odd ""names" VALUES (1, E'tab\tnewline\n\\ and ''quotes''');

CREATE SEQUENCE numbers AS smallint INCREMENT -3 MINVALUE -900 MAXVALUE 20 START 20 CACHE 4 CYCLE;
SELECT nextval('numbers');
GRANT USAGE ON SEQUENCE numbers TO torture_app;

CREATE VIEW open_customers WITH (security_barrier, check_option = local) AS
  SELECT id, status, price FROM customers WHERE status IN ('held', 'confirmed') AND ratio > 0.001;
CREATE RECURSIVE VIEW counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 10;
ALTER VIEW open_customers ALTER price SET DEFAULT 5;
CREATE MATERIALIZED VIEW totals AS SELECT customer_id, count(*) AS bookings FROM bookings GROUP BY 1;
CREATE UNIQUE INDEX totals_customer ON totals (customer_id);
CREATE MATERIALIZED VIEW later AS SELECT 1 AS one WITH NO DATA;

CREATE FUNCTION total(customer bigint, floor int DEFAULT 0 + 1) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE COST 50
  SET search_path = torture, pg_temp AS 'SELECT count(*) FROM torture.bookings WHERE customer_id = customer';
CREATE FUNCTION doubled(n int) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT n * 2; END;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN NEW; END $$;
CREATE PROCEDURE tidy(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; END $$;
REVOKE EXECUTE ON FUNCTION total FROM PUBLIC;
GRANT EXECUTE ON FUNCTION total TO torture_app;
COMMENT ON FUNCTION doubled IS 'twice';
CREATE AGGREGATE product(float8) (SFUNC = float8mul, STYPE = float8, INITCOND = '1', COMBINEFUNC = float8mul, PARALLEL = SAFE);
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq, COMMUTATOR = ===, RESTRICT = eqsel, HASHES);
CREATE CAST (pair AS mood) WITH INOUT AS ASSIGNMENT;
CREATE CONVERSION from_latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH DICTIONARY simple_words (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION words (PARSER = default);
ALTER TEXT SEARCH CONFIGURATION words ADD MAPPING FOR asciiword, word WITH simple_words, english_stem;

CREATE TRIGGER touched BEFORE UPDATE OF note ON bookings FOR EACH ROW WHEN (OLD.note IS DISTINCT FROM NEW.note) EXECUTE FUNCTION touch('once');
CREATE CONSTRAINT TRIGGER checked AFTER INSERT ON bookings DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER partitioned AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE bookings DISABLE TRIGGER checked;
ALTER TABLE events_2030 ENABLE ALWAYS TRIGGER partitioned;
CREATE RULE no_deleting AS ON DELETE TO cached DO INSTEAD NOTHING;
CREATE RULE kept AS ON UPDATE TO open_customers DO ALSO UPDATE customers SET price = NEW.price WHERE status IN ('held', 'x') AND id = NEW.id;
ALTER TABLE bookings ENABLE ROW LEVEL SECURITY;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_ones ON bookings AS RESTRICTIVE FOR UPDATE TO torture_app, torture_reader USING (customer_id > 100) WITH CHECK (note IN ('a', 'b'));
CREATE POLICY everything ON customers USING (status IN ('held', 'confirmed'));
ALTER DEFAULT PRIVILEGES FOR ROLE torture_owner IN SCHEMA torture GRANT SELECT ON TABLES TO torture_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE torture_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE PUBLICATION bookings_only FOR TABLE bookings WITH (publish = 'insert, update');

-- Privileges that are written down and say what is so without them.
CREATE TABLE as_always (id int);
GRANT SELECT ON as_always TO torture_other; REVOKE SELECT ON as_always FROM torture_other, torture_reader;

SELECT lo_from_bytea(424242, convert_to(repeat('large ', 1000), 'UTF8'));
SELECT lo_from_bytea(424243, '');
GRANT SELECT ON LARGE OBJECT 424242 TO torture_reader;
COMMENT ON LARGE OBJECT 424242 IS 'large';

SET ROLE torture_other;
CREATE TABLE "Other Schema".elsewhere (customer bigint, PRIMARY KEY (customer)) TABLESPACE torture_space;
CREATE INDEX elsewhere_too ON "Other Schema".elsewhere (customer) TABLESPACE torture_space;
INSERT INTO "Other Schema".elsewhere VALUES (1), (2);
RESET ROLE;
RESET search_path;
