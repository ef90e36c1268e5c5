# What the baselines share. Each is a careful operator's script: stops at the first error, tells the time of its parts.
set -euo pipefail

PATH="$PG_BIN:$PATH"
PHASE=''

phase() {
  local now
  now=$(date +%s.%N)
  if [ -n "$PHASE" ]; then
    awk -v name="$PHASE" -v from="$PHASE_AT" -v to="$now" 'BEGIN { printf "@phase %s %.3f\n", name, to - from }'
  fi
  PHASE="${1:-}"
  PHASE_AT=$now
}

# As the user that may run PostgreSQL: root may not.
as_server() { # shellcheck disable=SC2086
  ${AS_SERVER:-} "$@"
}

# A disposable cluster with the very settings that the drill uses. Leaves its URL in SCRATCH_URL.
open_scratch() {
  mkdir -p "$SCRATCH"
  if [ -n "${AS_SERVER:-}" ]; then chown "$SERVER_USER" "$SCRATCH"; fi
  as_server initdb -D "$SCRATCH/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync >/dev/null
  as_server pg_ctl -D "$SCRATCH/data" start -w -t 60 -l "$SCRATCH/log" \
    -o "-p $SCRATCH_PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories='' $SCRATCH_SETTINGS" >/dev/null
  SCRATCH_URL="postgresql://postgres@127.0.0.1:$SCRATCH_PORT"
  trap drop_scratch EXIT
}

drop_scratch() {
  trap - EXIT
  as_server pg_ctl -D "$SCRATCH/data" stop -m immediate -w >/dev/null
  rm -rf "$SCRATCH"
}

# Rows of every table of a database, one line each.
count_rows() {
  psql -XAtq -v ON_ERROR_STOP=1 -d "$1" <<'SQL'
SELECT format('SELECT %L, count(*) FROM ONLY %I.%I;', n.nspname || '.' || c.relname, n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
   AND (n.nspname, c.relname) <> ('durable_runbooks', 'fence')
 ORDER BY 1
\gexec
SQL
}

# Rows of every table and what is in them, one line each.
digest_rows() {
  psql -XAtq -v ON_ERROR_STOP=1 -d "$1" <<'SQL'
SELECT format('SELECT %L, count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM ONLY %I.%I t;',
              n.nspname || '.' || c.relname, n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname NOT IN ('information_schema', 'durable_runbooks') AND n.nspname !~ '^pg_'
 ORDER BY 1
\gexec
SQL
}

# Every statement of the file must return no row.
check_invariants() {
  local found
  found=$(psql -XAtq -v ON_ERROR_STOP=1 -d "$1" -f "$INVARIANTS")
  if [ -n "$found" ]; then echo "an invariant is broken: $found" >&2; exit 1; fi
}

# The database of a directory dump, in the disposable cluster.
restore_into_scratch() {
  psql -Xq -d "$SCRATCH_URL/postgres" -f "$GLOBALS" >/dev/null 2>&1 || true # the superuser exists already
  psql -Xq -d "$SCRATCH_URL/postgres" -c 'CREATE DATABASE restored TEMPLATE template0'
  pg_restore --exit-on-error --no-subscriptions --jobs="$JOBS" -d "$SCRATCH_URL/restored" "$1"
}
