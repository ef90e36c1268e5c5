import type { Migration } from '../../../contract/migration';

/** Of all migrations of a plan together: what is in it is never cut where it is approved, and that page is finite. */
const ROOM = 2_400;
/** Shorter, it would say little; and a plan of many files has to fit a screen. */
const LEAST = 150;

/** The SQL of one of `count` migrations, there and back, for the detail of a plan. Absent for those that a tool applies. */
export function describeSql({ sql }: Migration, count: number): string[] {
  const room = Math.floor(ROOM / count / 2);
  if (sql === undefined || room < LEAST) return [];
  return [`up: ${cut(sql.up, room)}`, `down: ${sql.down === null ? 'none' : cut(sql.down, room)}`];
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 2)} …`;
}
