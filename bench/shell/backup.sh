# The backup that the bench compares with: a plain dump, its checksum, the rows of every table.
. "$(dirname "$0")/common.sh"

mkdir -p "$OUT"
phase dump
pg_dump -d "$DATABASE_URL" > "$OUT/file.sql"
phase checksum
sha256sum "$OUT/file.sql" > "$OUT/file.sql.sha256"
phase counts
count_rows "$DATABASE_URL" > "$OUT/counts"
phase
