-- Roles of the travel service. Cluster-wide, so apart from schema.sql; run once as a superuser. No password is set here,
-- nothing here is a superuser, and nothing here may create roles.

DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['travel_owner', 'travel_app', 'travel_runbooks', 'travel_holds', 'travel_inventory', 'travel_listings'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      EXECUTE format('CREATE ROLE %I', role_name);
    END IF;
  END LOOP;
END
$$;

-- Owns the databases and everything in them. Nobody logs in as the owner.
ALTER ROLE travel_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;

-- The application: reads and writes rows, changes no table. Its limit leaves connections for operators.
ALTER ROLE travel_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS CONNECTION LIMIT 40;

-- The runbooks: member of the owner, backups (pg_read_all_data, BYPASSRLS), restored copies (CREATEDB), sessions of others
-- (pg_monitor, pg_signal_backend), and CREATE on postgres for the fence of restores.
ALTER ROLE travel_runbooks LOGIN INHERIT NOSUPERUSER CREATEDB NOCREATEROLE BYPASSRLS;
GRANT travel_owner, pg_read_all_data, pg_monitor, pg_signal_backend TO travel_runbooks;
GRANT CREATE ON DATABASE postgres TO travel_runbooks;

-- As which the runbooks repair rows: each can write what its grants in schema.sql say, and nothing else. Nobody logs in as them.
ALTER ROLE travel_holds NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
ALTER ROLE travel_inventory NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
ALTER ROLE travel_listings NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
GRANT travel_holds, travel_inventory, travel_listings TO travel_runbooks;

-- A migration that never evicts autovacuum, and an undo of repaired rows past the triggers.
DO $$
BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    EXECUTE 'GRANT SET ON PARAMETER deadlock_timeout, session_replication_role TO travel_runbooks';
  END IF;
END
$$;
