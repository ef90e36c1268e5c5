-- What only a superuser may make, and so only a superuser may restore.
SET search_path = torture;

DO $$
DECLARE found record;
BEGIN
  FOR found IN SELECT name FROM pg_available_extensions WHERE installed_version IS NULL ORDER BY name LOOP
    BEGIN
      EXECUTE format('CREATE EXTENSION %I SCHEMA torture CASCADE', found.name);
    EXCEPTION WHEN OTHERS THEN
      BEGIN
        -- Some have a schema of their own.
        EXECUTE format('CREATE EXTENSION %I CASCADE', found.name);
      EXCEPTION WHEN OTHERS THEN
        RAISE NOTICE '% cannot be created: %', found.name, SQLERRM;
      END;
    END;
  END LOOP;
END $$;

CREATE ACCESS METHOD another_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE otherwise_stored (id int) USING another_heap;

CREATE TYPE shell;
CREATE TYPE num;
CREATE FUNCTION num_in(cstring) RETURNS num LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION num_out(num) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE FUNCTION num_receive(internal) RETURNS num LANGUAGE internal IMMUTABLE STRICT AS 'int4recv';
CREATE TYPE num (INPUT = num_in, OUTPUT = num_out, RECEIVE = num_receive, LIKE = int4);
CREATE CAST (num AS int) WITHOUT FUNCTION AS IMPLICIT;
CREATE OPERATOR FAMILY num_family USING btree;
CREATE FUNCTION compared(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($2, $1)';
CREATE OPERATOR CLASS backwards FOR TYPE int USING btree FAMILY num_family AS
  OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 compared(int, int);
CREATE TABLE nums (n num, i int);
CREATE INDEX nums_backwards ON nums (i backwards);
INSERT INTO nums VALUES ('7', 1), ('8', 2);

CREATE FUNCTION my_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION my_inline(internal) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION my_validator(oid) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE plmine HANDLER my_handler INLINE my_inline VALIDATOR my_validator;
GRANT USAGE ON LANGUAGE plmine TO torture_reader;
CREATE TRANSFORM FOR num LANGUAGE plmine (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION num_receive(internal));
CREATE TEXT SEARCH PARSER my_parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH TEMPLATE my_template (INIT = dsimple_init, LEXIZE = dsimple_lexize);

CREATE FOREIGN DATA WRAPPER my_wrapper OPTIONS (debug 'true');
CREATE SERVER far TYPE 'shop' VERSION '1' FOREIGN DATA WRAPPER my_wrapper OPTIONS (host '192.0.2.1', password 'server-password');
CREATE USER MAPPING FOR torture_app SERVER far OPTIONS (user 'far', password 'mapping-password');
GRANT USAGE ON FOREIGN DATA WRAPPER my_wrapper TO torture_reader;
GRANT USAGE ON FOREIGN SERVER far TO torture_reader;
CREATE FOREIGN TABLE far_away (id int OPTIONS (column_name 'far_id'), name text DEFAULT 'x') SERVER far OPTIONS (table_name 'names');
COMMENT ON SERVER far IS 'not here';

CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER watched ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION on_ddl();

CREATE PUBLICATION some_rows FOR TABLE bookings (id, customer_id) WHERE (customer_id > 100), typed WITH (publish = 'insert', publish_via_partition_root);
CREATE PUBLICATION whole_schema FOR TABLES IN SCHEMA "Other Schema";
CREATE PUBLICATION all_of_it FOR ALL TABLES;
CREATE SUBSCRIPTION from_afar CONNECTION 'host=192.0.2.1 dbname=far password=subscription-password' PUBLICATION far WITH (connect = false, slot_name = NONE);
COMMENT ON PUBLICATION all_of_it IS 'everything';
-- Of the system and of extensions.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_switch_wal() TO torture_reader;
GRANT SELECT ON pg_stat_statements TO torture_reader;
