-- Roles of the booking service. Cluster-wide, so apart from schema.sql; run once as a superuser:
--
--   psql -d postgres -f roles.sql
--   psql -d postgres -c "ALTER ROLE booking_app PASSWORD '...'"   (and so on: no password is set here)
--
-- Nothing here is a superuser, and nothing here may create roles.

DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['booking_owner', 'booking_app', 'runbooks_migrator', 'runbooks_backup', 'runbooks_repair', 'runbooks_payments', 'runbooks_listings'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      EXECUTE format('CREATE ROLE %I', role_name);
    END IF;
  END LOOP;
END
$$;

-- Owns the database and everything in it. Nobody logs in as the owner.
ALTER ROLE booking_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;

-- The application: reads and writes rows, changes no table, may not see what it does not need
-- (resources, other people's audit rows). Its grants stand in schema.sql. Its limit leaves connections for operators:
-- where an application may take all of them, nobody gets in to help.
ALTER ROLE booking_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS CONNECTION LIMIT 40;

-- The runbooks that change things: migrations, drills beside the live database, restores and swaps.
--   member of booking_owner  ALTER the tables, create the schema durable_runbooks, rename the database
--   CREATEDB                 a database beside the live one, and RENAME (needs it besides ownership)
--   BYPASSRLS                counts see every row; without it a filtered table counts 0 and says nothing
--   pg_read_all_data         dump and count tables that a later migration creates under another owner
--   pg_monitor               sessions of others: who blocks a migration, who has the connections
--   pg_signal_backend        end sessions: all before a swap, forgotten transactions when connections are short
--   CREATE on postgres       the fence of swaps and restores, which no database that is renamed can hold
ALTER ROLE runbooks_migrator LOGIN INHERIT NOSUPERUSER CREATEDB NOCREATEROLE BYPASSRLS;
GRANT booking_owner, pg_read_all_data, pg_monitor, pg_signal_backend TO runbooks_migrator;
GRANT CREATE ON DATABASE postgres TO runbooks_migrator;

-- With a lock_timeout below deadlock_timeout (1 s) a migration never evicts autovacuum from its table.
DO $$
BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    EXECUTE 'GRANT SET ON PARAMETER deadlock_timeout TO runbooks_migrator';
  END IF;
END
$$;

-- Where backups have a worker of their own: reads everything, changes nothing.
--   BYPASSRLS is needed: pg_dump would stop at a table with policies, or dump it empty.
ALTER ROLE runbooks_backup LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS CONNECTION LIMIT 20;
GRANT pg_read_all_data, pg_monitor TO runbooks_backup;

-- As which the runbooks repair rows: it can write what its grants in schema.sql say, and nothing else. Nobody logs in as it.
ALTER ROLE runbooks_repair NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
GRANT runbooks_repair TO runbooks_migrator;

-- The same for payments, and apart from it: what puts payments right cannot reach a booking or a slot.
ALTER ROLE runbooks_payments NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
GRANT runbooks_payments TO runbooks_migrator;

-- And for listings: what suspends one cannot reach a booking or a payment.
ALTER ROLE runbooks_listings NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
GRANT runbooks_listings TO runbooks_migrator;

-- Puts repaired rows back exactly as they were, past the triggers: a booking that ended stays ended for everybody else.
DO $$
BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    EXECUTE 'GRANT SET ON PARAMETER session_replication_role TO runbooks_migrator';
  END IF;
END
$$;
