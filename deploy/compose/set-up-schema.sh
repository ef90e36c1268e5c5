#!/bin/sh
# Brings both databases of Temporal to the schema of this image's version. Safe to repeat, also on an upgrade.
set -eu
: "${POSTGRES_SEEDS:?}" "${POSTGRES_USER:?}" "${SQL_PASSWORD:?}" "${DBNAME:?}" "${VISIBILITY_DBNAME:?}"

sql() {
  database=$1
  shift
  temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_SEEDS" -p "${DB_PORT:-5432}" -u "$POSTGRES_USER" --db "$database" "$@"
}

sql "$DBNAME" setup-schema -v 0.0
sql "$DBNAME" update-schema -d /etc/temporal/schema/postgresql/v12/temporal/versioned
sql "$VISIBILITY_DBNAME" setup-schema -v 0.0
sql "$VISIBILITY_DBNAME" update-schema -d /etc/temporal/schema/postgresql/v12/visibility/versioned
