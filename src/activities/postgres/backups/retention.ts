import type { ListedBackup } from './backup-store';

/** Which backups stay. Numbers of days, weeks and months count those that have a backup. */
export interface Retention {
  /** Proven ones, and as many unproven ones. */
  keep: number;
  daily: number;
  weekly: number;
  monthly: number;
  /** What is older goes, whatever the rest says. */
  maxAgeDays?: number | undefined;
}

/**
 * What the retention no longer asks for. The newest proven one stays, however old it is; while none is proven, any of
 * them may be the only good one, and all stay. A safety backup goes when a person has released it, and only then.
 */
export function chooseDoomed(
  newestFirst: ListedBackup[],
  retention: Retention,
  now = Date.now(),
): ListedBackup[] {
  const released = newestFirst.filter(
    ({ purpose, releasedAt }) => purpose === 'safety' && releasedAt !== null,
  );
  const scheduled = newestFirst.filter(({ purpose }) => purpose === 'scheduled');
  const [lastProven] = scheduled.filter(isProven);
  if (lastProven === undefined) return released;
  const wanted = wantedBy(scheduled, retention);
  const stays = (backup: ListedBackup): boolean =>
    backup === lastProven ||
    backup === scheduled[0] ||
    (wanted.has(backup) && !isOver(backup, retention.maxAgeDays, now));
  return [...scheduled.filter((backup) => !stays(backup)), ...released];
}

function wantedBy(newestFirst: ListedBackup[], retention: Retention): Set<ListedBackup> {
  const keep = Math.max(1, retention.keep);
  return new Set([
    ...newestFirst.filter(isProven).slice(0, keep),
    ...newestFirst.filter((backup) => !isProven(backup)).slice(0, keep),
    ...newestOfEach(newestFirst, retention.daily, dayOf),
    ...newestOfEach(newestFirst, retention.weekly, weekOf),
    ...newestOfEach(newestFirst, retention.monthly, (at) => at.toISOString().slice(0, 7)),
  ]);
}

/** The newest of each period, of the newest `count` periods that have any. A proven one is preferred. */
function newestOfEach(
  newestFirst: ListedBackup[],
  count: number,
  periodOf: (at: Date) => string,
): ListedBackup[] {
  const periods = new Map<string, ListedBackup>();
  for (const backup of newestFirst) {
    const period = periodOf(new Date(backup.snapshotAt));
    const before = periods.get(period);
    if (before === undefined && periods.size === count) break;
    if (before === undefined || (!isProven(before) && isProven(backup))) periods.set(period, backup);
  }
  return [...periods.values()];
}

const DAY_MS = 86_400_000;

const dayOf = (at: Date): string => at.toISOString().slice(0, 10);

/** The Monday of its week, in UTC. */
function weekOf(at: Date): string {
  return dayOf(new Date(at.getTime() - ((at.getUTCDay() + 6) % 7) * DAY_MS));
}

function isOver({ snapshotAt }: ListedBackup, maxAgeDays: number | undefined, now: number): boolean {
  return maxAgeDays !== undefined && now - Date.parse(snapshotAt) > maxAgeDays * DAY_MS;
}

const isProven = ({ provenAt }: ListedBackup): boolean => provenAt !== null;
