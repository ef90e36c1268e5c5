# The restore that most runbooks prescribe: a new database on the server, `psql < file.sql`.
. "$(dirname "$0")/common.sh"

phase restore
psql -Xq -d "$ADMIN_URL" -c "CREATE DATABASE bench_plain TEMPLATE template0"
psql -Xq -v ON_ERROR_STOP=1 -d "$RESTORE_URL" < "$OUT/file.sql" > /dev/null
phase
