/** What a checklist has found, and backups as old as a test wants them. */
import { join } from 'node:path';
import type { ChecklistRecord } from '../../src/contract/checklist';
import { editManifest } from '../support/damage';
import type { Driver, Ended } from './harness';

type Reported = Pick<Ended, 'report'>;

export const recordOf = ({ report }: Reported) =>
  (report as unknown as { checklist: ChecklistRecord }).checklist;
export const itemsOf = (ended: Reported) =>
  Object.fromEntries(recordOf(ended).items.map((item) => [item.name, item]));
export const namesOf = (ended: Reported, color: string) =>
  recordOf(ended)
    .items.filter((item) => item.color === color)
    .map(({ name }) => name);

/** Every backup of production is older by that. */
export function ageBackups({ stack, backups }: Driver, days: number): void {
  for (const name of backups())
    editManifest(join(stack.directory, 'backups/booking/production', name), (manifest) => {
      manifest.snapshotAt = new Date(Date.parse(manifest.snapshotAt) - days * 86_400_000).toISOString();
    });
}
