import { isCancellation } from '@temporalio/workflow';
import type { LostDraft } from '../../../activities/drafts/look';
import type { Owner } from '../../../activities/drafts/informing';
import type { Salvage } from '../../../activities/drafts/store';
import { type Place, targetOf } from '../../../contract/place';
import { leftText, putBack, repairKey } from '../../bookings/take-back';
import { verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, type Run } from '../../kit';
import { keepAll, keepNewest, type Named } from './decide';
import { questionOf } from './plan';

const MAX_OWNERS = 50;

export interface Salvaging {
  salvages: Salvage[];
  /** Of the change log. */
  step: string;
  title: string;
  fenceToken: number;
}

/** Stores what was lost, and takes it back where the service is not well afterwards. Returns what was left alone. */
export async function salvage(
  run: Run,
  place: Place,
  { salvages, step, title, fenceToken }: Salvaging,
): Promise<Named[]> {
  if (salvages.length === 0) return [];
  return run.exclusively(
    targetOf(place),
    async (fence) => {
      const { left } = await run.step(
        title,
        (act) => act.salvageDrafts({ ...place, step, salvages, run: repairKey(), fence }),
        {
          kind: 'mutate',
          undo: {
            title: `${title}: put them back`,
            back: () =>
              putBack(run, { title, noun: 'draft' }, (act) =>
                act.undoDraftSalvage({ ...place, step, run: repairKey(), fence }),
              ),
          },
          describe: ({ done, left }) =>
            `${countOf(done, 'draft')}${left.length === 0 ? '' : `; left alone: ${leftText(left)}`}`,
        },
      );
      await verifyHealth(run, place);
      await verifySmoke(run, place);
      return left.map(({ unit, why }) => ({ draft: unit.slice('draft '.length), why }));
    },
    fenceToken,
  );
}

const NEWEST = 'keep the newest, set the others aside';
const ALL = 'keep all, each as a draft of its own';
const LEAVE = 'leave them in the journal';
const SILENT = 'a conflict about which nobody decided in time';

/** A question that nobody answers ends neither what was done nor what is still to be done. */
function nobody(error: unknown): undefined {
  if (isCancellation(error)) throw error;
}

/** One question for each conflict, until one stays open: then nobody is there, and the others are for a task as well. */
export async function askAbout(
  run: Run,
  place: Place,
  conflicts: LostDraft[],
): Promise<{ salvages: Salvage[]; named: Named[] }> {
  const salvages: Salvage[] = [];
  const named: Named[] = [];
  let silent = false;
  for (const conflict of conflicts) {
    if (silent) {
      named.push({ draft: conflict.draft, why: SILENT });
      continue;
    }
    const upon = conflict.attempts.some(({ base }) => base === conflict.stored);
    const choices = [...(upon ? [NEWEST] : []), ALL, { harmless: LEAVE }];
    const choice = await run.ask(questionOf(place, conflict), choices).catch(nobody);
    silent = choice === undefined;
    if (choice === undefined) named.push({ draft: conflict.draft, why: SILENT });
    else if (choice === NEWEST) salvages.push(keepNewest(conflict));
    else if (choice === ALL) salvages.push(keepAll(conflict));
    else named.push({ draft: conflict.draft, why: 'left in the journal, as decided' });
  }
  return { salvages, named };
}

/** Those whose drafts were salvaged. */
export async function tellOwners(
  run: Run,
  place: Place,
  owners: Owner[],
  { inform, step }: { inform: boolean; step: string },
): Promise<void> {
  if (owners.length === 0) return;
  await run.announce(`${targetOf(place)}: lost drafts of ${countOf(owners.length, 'owner')} were salvaged.`);
  let untold = owners;
  let why = 'no operation is configured that tells them';
  if (inform) {
    const said = await run.step(
      'Tell the owners',
      (act) => act.informOwners({ ...place, owners, run: `${repairKey()}/${step}` }),
      {
        kind: 'mutate',
        undo: { irreversible: 'owners were told of salvaged drafts', unless: ({ told }) => told === 0 },
        describe: (answer) =>
          `${answer.told} told${answer.untold.length === 0 ? '' : `, ${answer.untold.length} not: ${answer.why}`}`,
      },
    );
    ({ untold, why } = said);
  }
  if (untold.length === 0) return;
  const ids = untold
    .slice(0, MAX_OWNERS)
    .map(({ owner, drafts }) => `${owner} (${countOf(drafts, 'draft')})`);
  const more =
    untold.length > MAX_OWNERS
      ? ` and ${untold.length - MAX_OWNERS} more, whom the audit trail or the change log names`
      : '';
  await run.task(
    `Tell these owners of ${targetOf(place)} that drafts of theirs were salvaged (${why}): ${ids.join(', ')}${more}.`,
  );
}

/** Owners of the drafts that were not left alone. */
export function ownersOf(drafts: LostDraft[], salvages: Salvage[], left: Named[]): Owner[] {
  const alone = new Set(left.map(({ draft }) => draft));
  const done = new Set(salvages.map(({ draft }) => draft).filter((draft) => !alone.has(draft)));
  const counts = new Map<string, number>();
  for (const { draft, owner } of drafts)
    if (owner !== null && done.has(draft)) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return [...counts].map(([owner, count]) => ({ owner, drafts: count }));
}
