-- Everything that is not in a database: the owner of the objects, who uses them, and the role that the documents name.
CREATE ROLE torture_owner;
CREATE ROLE torture_other;
CREATE ROLE torture_reader;
CREATE ROLE torture_app LOGIN PASSWORD 'torture-app';
GRANT torture_reader TO torture_app;
CREATE ROLE torture_runbooks LOGIN PASSWORD 'torture-runbooks' CREATEDB BYPASSRLS;
GRANT pg_read_all_data, pg_monitor, pg_signal_backend, torture_owner, torture_other TO torture_runbooks;
GRANT CREATE ON DATABASE postgres TO torture_runbooks;
