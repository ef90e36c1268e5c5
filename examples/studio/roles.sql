-- Roles of the studio. Cluster-wide, so apart from schema.sql; run once as a superuser. No password is set here, nothing
-- here is a superuser, and nothing here may create roles.

DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['studio_owner', 'studio_app', 'runbooks_migrator', 'runbooks_drafts', 'runbooks_stripe', 'runbooks_ai'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      EXECUTE format('CREATE ROLE %I', role_name);
    END IF;
  END LOOP;
END
$$;

-- Owns the database and everything in it. Nobody logs in as the owner.
ALTER ROLE studio_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;

-- The application: reads and writes rows, changes no table.
ALTER ROLE studio_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS CONNECTION LIMIT 40;

-- The runbooks: members of the owner for migrations, with databases of their own for drills and rehearsals.
-- booking/roles.sql says what each of these rights is for.
ALTER ROLE runbooks_migrator LOGIN INHERIT NOSUPERUSER CREATEDB NOCREATEROLE BYPASSRLS;
GRANT studio_owner, pg_read_all_data, pg_monitor, pg_signal_backend TO runbooks_migrator;
GRANT CREATE ON DATABASE postgres TO runbooks_migrator;

-- As which they repair rows: each can write what its grants in schema.sql say, and nothing else. Nobody logs in as them.
ALTER ROLE runbooks_drafts NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
ALTER ROLE runbooks_stripe NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
ALTER ROLE runbooks_ai NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
GRANT runbooks_drafts, runbooks_stripe, runbooks_ai TO runbooks_migrator;

-- With a lock_timeout below deadlock_timeout (1 s) a migration never evicts autovacuum from its table; and repaired rows
-- go back exactly as they were, past the triggers.
DO $$
BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    EXECUTE 'GRANT SET ON PARAMETER deadlock_timeout, session_replication_role TO runbooks_migrator';
  END IF;
END
$$;
