import type { LostAttempt, LostDraft, LostSaves } from '../../../activities/drafts/look';
import type { Salvage } from '../../../activities/drafts/store';

/** Something that was not stored, and why this run does not store it. */
export interface Named {
  draft: string;
  why: string;
}

/** What becomes of lost saves. */
export interface Decision {
  salvages: Salvage[];
  /** For a person. */
  conflicts: LostDraft[];
  named: Named[];
}

export function decide({
  drafts,
  keep,
  maxQuestions,
}: Pick<LostSaves, 'drafts' | 'keep' | 'maxQuestions'>): Decision {
  const decision: Decision = { salvages: [], conflicts: [], named: [] };
  const name = (draft: string, why: string) => decision.named.push({ draft, why });
  for (const lost of drafts) {
    const { draft, stored, attempts, more } = lost;
    const empty = attempts.filter(({ bytes }) => bytes === null);
    if (stored === null) {
      name(draft, 'there is no such draft any more');
      continue;
    }
    if (more > 0) {
      name(draft, `${attempts.length + more} editors have lost something, too many to be looked at`);
      continue;
    }
    if (empty.length > 0) name(draft, `the journal has nothing of ${idsOf(empty)}`);
    if (empty.length === attempts.length) continue;
    if (!isConflict(lost)) decision.salvages.push(keepNewest(lost));
    else if (keep === 'both') decision.salvages.push(keepAll(lost));
    else if (keep === 'newest') keepIfCurrent(lost, decision);
    else if (decision.conflicts.length < maxQuestions) decision.conflicts.push(lost);
    else name(draft, `a conflict beyond ${maxQuestions} questions of one run`);
  }
  return decision;
}

const usable = ({ attempts }: LostDraft) => attempts.filter(({ bytes }) => bytes !== null);

/** Written upon what is stored. */
export const current = (lost: LostDraft) => usable(lost).filter(({ base }) => base === lost.stored);

function isConflict(lost: LostDraft): boolean {
  return usable(lost).length > 1 || current(lost).length === 0;
}

/** The newest that was written upon what is stored; all others are not wanted. */
export function keepNewest(lost: LostDraft): Salvage {
  const [winner] = current(lost);
  const rest = usable(lost).filter((one) => one !== winner);
  return salvageOf(lost, winner, [], rest);
}

/** The same, and each of the others becomes another draft. */
export function keepAll(lost: LostDraft): Salvage {
  const [winner] = current(lost);
  const rest = usable(lost).filter((one) => one !== winner);
  return salvageOf(lost, winner, rest, []);
}

/** By a rule nobody's save is thrown away that was written upon another version than the stored one. */
function keepIfCurrent(lost: LostDraft, { salvages, named }: Decision): void {
  const [winner, ...rest] = current(lost);
  if (winner !== undefined) salvages.push(salvageOf(lost, winner, [], rest));
  const stale = usable(lost).filter(({ base }) => base !== lost.stored);
  if (stale.length > 0)
    named.push({
      draft: lost.draft,
      why: `${idsOf(stale)} was written upon another version than ${lost.stored}, which is stored`,
    });
}

function salvageOf(
  { draft, stored }: LostDraft,
  winner: LostAttempt | undefined,
  copies: LostAttempt[],
  setAside: LostAttempt[],
): Salvage {
  return {
    draft,
    stored: stored!,
    ...(winner === undefined ? {} : { winner: winner.id }),
    copies: copies.map(({ id }) => id),
    setAside: setAside.map(({ id }) => id),
  };
}

function idsOf(attempts: LostAttempt[]): string {
  return `attempt ${attempts.map(({ id }) => id).join(', ')}`;
}
