# What migrateDatabase does, as a careful operator's script with the same tools and the same parallelism.
. "$(dirname "$0")/common.sh"

mkdir -p "$OUT"
phase dump
pg_dump --format=directory --jobs="$JOBS" --compress="$COMPRESSION" -f "$OUT/dump" -d "$DATABASE_URL"
pg_dumpall --globals-only --no-role-passwords -d "$DATABASE_URL" --database="$DATABASE_NAME" > "$GLOBALS"
phase counts
count_rows "$DATABASE_URL" > "$OUT/counts"
phase checksums
(cd "$OUT" && sha256sum dump/* > checksums)

phase open
open_scratch
phase verify
(cd "$OUT" && sha256sum --check --quiet checksums)
phase restore
restore_into_scratch "$OUT/dump"
phase validate
count_rows "$SCRATCH_URL/restored" | diff - "$OUT/counts"
check_invariants "$SCRATCH_URL/restored"
DATABASE_URL="$SCRATCH_URL/restored" "$NODE" "$SMOKE" > /dev/null

phase contents
digest_rows "$SCRATCH_URL/restored" > "$OUT/before"
phase rehearse
psql -Xq -1 -v ON_ERROR_STOP=1 -d "$SCRATCH_URL/restored" -f "$UP"
check_invariants "$SCRATCH_URL/restored"
phase contents
digest_rows "$SCRATCH_URL/restored" > "$OUT/after-up"
phase rehearse
psql -Xq -1 -v ON_ERROR_STOP=1 -d "$SCRATCH_URL/restored" -f "$DOWN"
phase contents
digest_rows "$SCRATCH_URL/restored" | diff - "$OUT/before"
phase staging
psql -Xq -1 -v ON_ERROR_STOP=1 -d "$STAGING_URL" -f "$UP"
check_invariants "$STAGING_URL"
DATABASE_URL="$STAGING_URL" "$NODE" "$SMOKE" > /dev/null
phase production
psql -Xq -1 -v ON_ERROR_STOP=1 -d "$DATABASE_URL" -f "$UP"
check_invariants "$DATABASE_URL"
curl -fsS -o /dev/null "$APP_URL/health" && curl -fsS -o /dev/null "$APP_URL/health/ready"
phase drop
drop_scratch
phase
