-- Roles of the appointment service. Cluster-wide, so apart from schema.sql; run once as a superuser. No password is set here.
-- Nothing here is a superuser, and nothing here may create roles.

DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['appointments_owner', 'appointments_app', 'appointments_migrator'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      EXECUTE format('CREATE ROLE %I', role_name);
    END IF;
  END LOOP;
END
$$;

-- Owns the database and everything in it. Nobody logs in as the owner.
ALTER ROLE appointments_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;

-- The application: reads and writes rows, changes no table. Its grants stand in schema.sql.
ALTER ROLE appointments_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS CONNECTION LIMIT 40;

-- The runbooks: member of the owner for migrations and restores, a database beside the live one (CREATEDB), everything
-- read and counted (pg_read_all_data, BYPASSRLS), sessions of others seen and ended (pg_monitor, pg_signal_backend).
ALTER ROLE appointments_migrator LOGIN INHERIT NOSUPERUSER CREATEDB NOCREATEROLE BYPASSRLS;
GRANT appointments_owner, pg_read_all_data, pg_monitor, pg_signal_backend TO appointments_migrator;
-- The fence of swaps and restores, which no database that is renamed can hold.
GRANT CREATE ON DATABASE postgres TO appointments_migrator;

-- With a lock_timeout below deadlock_timeout (1 s) a migration never evicts autovacuum from its table.
DO $$
BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    EXECUTE 'GRANT SET ON PARAMETER deadlock_timeout TO appointments_migrator';
  END IF;
END
$$;
