# The migration as most people apply it.
. "$(dirname "$0")/common.sh"

phase apply
psql -Xq -v ON_ERROR_STOP=1 -d "$DATABASE_URL" -f "$UP"
phase
