# A bare pg_restore into the same kind of disposable cluster that the drill uses.
. "$(dirname "$0")/common.sh"

phase open
open_scratch
phase restore
restore_into_scratch "$DUMP"
phase drop
drop_scratch
phase
