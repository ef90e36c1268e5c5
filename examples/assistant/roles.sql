-- Roles of the assistant. Cluster-wide, so apart from schema.sql; run once as a superuser. Nothing here is a superuser,
-- and nothing here may create roles. Passwords are set apart from this file.

DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['assistant_owner', 'assistant_app', 'assistant_runbooks', 'assistant_repair'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      EXECUTE format('CREATE ROLE %I', role_name);
    END IF;
  END LOOP;
END
$$;

-- Owns the database and everything in it. Nobody logs in as the owner.
ALTER ROLE assistant_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;

-- The application: reads and writes rows, changes no table. Its limit leaves connections for operators.
ALTER ROLE assistant_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS CONNECTION LIMIT 30;

-- The runbooks: member of the owner for a swap and for indexes; CREATEDB for a database beside the live one; the rest to
-- count all rows, to see and to end sessions of others. CREATE on postgres is for the fence of swaps and restores.
ALTER ROLE assistant_runbooks LOGIN INHERIT NOSUPERUSER CREATEDB NOCREATEROLE BYPASSRLS;
GRANT assistant_owner, pg_read_all_data, pg_monitor, pg_signal_backend TO assistant_runbooks;
GRANT CREATE ON DATABASE postgres TO assistant_runbooks;

-- As which lost or spoiled rows are brought back: its grants stand in schema.sql. Nobody logs in as it.
ALTER ROLE assistant_repair NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
GRANT assistant_repair TO assistant_runbooks;

DO $$
BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    -- Rows are put back exactly as they were, past the triggers.
    EXECUTE 'GRANT SET ON PARAMETER session_replication_role TO assistant_runbooks';
    EXECUTE 'GRANT SET ON PARAMETER deadlock_timeout TO assistant_runbooks';
  END IF;
END
$$;
