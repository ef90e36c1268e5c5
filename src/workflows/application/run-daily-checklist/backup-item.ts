import type { ChecklistScope } from '../../../activities/application/checklist';
import type { ChecklistItem } from '../../../contract/checklist';
import { targetOf, type Place } from '../../../contract/place';
import { duration } from '../../kit';
import { notConfigured, type Item } from './item';

/** What checkBackups says, with the newest backup read byte by byte. */
export function backupItem(
  place: Place,
  { backups, limits }: ChecklistScope,
  startedBy: string,
  maxAgeSeconds: number,
): Item | ChecklistItem {
  if (!backups) return notConfigured('backups', 'backups of the service');
  return {
    name: 'backups',
    objective: `younger than ${duration(maxAgeSeconds * 1_000)}, whole, retention kept`,
    next: 'backUpDatabase, or find out why its schedule did not run',
    silence: 'red',
    limitMs: limits.backupMinutes * 60_000,
    read: async (run) => {
      const { outcome, summary } = await run.child('Backups', 'checkBackups', {
        ...place,
        verify: 'newest',
        startedBy,
        reason: `part of ${run.id}, the daily checklist of ${targetOf(place)}`.slice(0, 500),
      });
      return { color: outcome === 'SUCCEEDED' ? 'green' : 'red', figure: summary };
    },
  };
}
