import type { LostDraft, LostSaves, Protection, Saving } from '../../../activities/drafts/look';
import { type Place, targetOf } from '../../../contract/place';
import { bytes } from '../../../contract/text';
import type { Suspect } from '../../application/suspect-deployment';
import { applicationIn } from '../../application/serving';
import { countOf, digest, type PlanDraft, utc } from '../../kit';
import { decide, type Named } from './decide';

export interface Look {
  saving: Saving;
  lost: LostSaves;
  protection: Protection;
  suspect: Suspect | null;
}

const MAX_NAMED = 10;

/** While saves fail more is lost every moment: then nothing that is counted is in the plan, and so in its hash. */
export function draftOf(place: Place, look: Look, warnings: string[]): PlanDraft {
  const { saving, lost, protection, suspect } = look;
  const failing = saving.failing === true;
  const { salvages, conflicts, named } = decide(lost);
  const actions: PlanDraft['actions'] = [];
  if (failing && protection.localOnly)
    actions.push({
      action: 'keep edits where they are made until saves succeed',
      target: applicationIn(place),
    });
  if (failing)
    actions.push({
      action:
        suspect === null
          ? 'a task for a person: let saves succeed again'
          : `rollBackDeployment, and where that does not help a task for a person`,
      target: applicationIn(place),
      ...(suspect === null ? {} : { detail: suspect.evidence }),
    });
  const rule = `conflicts: ${lost.keep}`;
  actions.push(
    failing
      ? { action: 'salvage what is lost by then', target: targetOf(place), detail: rule }
      : {
          action: 'salvage drafts',
          target: targetOf(place),
          count: salvages.length,
          detail: `${countOf(conflicts.length, 'question')}, ${named.length} named; ${rule}`,
        },
  );
  return {
    actions,
    warnings: [
      ...(failing && !protection.localOnly
        ? ['nothing keeps edits where they are made while saves fail: drafts.localOnly is not configured']
        : []),
      ...(protection.probe ? [] : ['no save is tried: drafts.probe is not configured']),
      ...(protection.inform
        ? []
        : ['owners are told by a person, by a task with their IDs: drafts.inform is not configured']),
      ...(saving.failing === null ? ['too few saves were tried to say whether they fail'] : []),
      ...(failing && suspect !== null && protection.measure === null
        ? ['the rollback does not know the share of saves that fail: drafts.measure is not configured']
        : []),
      ...(lost.total > lost.drafts.length && !failing
        ? [
            `${lost.total} drafts have lost saves, and one run takes ${lost.drafts.length}: start another one afterwards`,
          ]
        : []),
      ...lost.unconfigured,
      ...warnings,
    ],
    facts: {
      failing: saving.failing ?? 'unknown',
      keep: lost.keep,
      drafts: failing ? 'those of then' : digest(lost.drafts),
    },
  };
}

export function lostText({ drafts, total }: LostSaves): string {
  if (total === 0) return 'nothing that was tried is lost';
  const named = drafts
    .slice(0, MAX_NAMED)
    .map(({ draft, attempts }) => `${draft} (${countOf(attempts.length, 'attempt')})`);
  return `${countOf(total, 'draft')} with lost saves: ${named.join(', ')}${total > named.length ? ` and ${total - named.length} more` : ''}`;
}

/** Names times and sizes, and never what was written. */
export function questionOf(place: Place, { draft, owner, stored, storedAt, attempts }: LostDraft): string {
  const whose = owner === null ? '' : ` of owner ${owner}`;
  const kept = `version ${stored}${storedAt === null ? '' : ` of ${utc(storedAt)} UTC`} is stored`;
  const each = attempts.map(
    (one) =>
      `attempt ${one.id} of ${utc(one.savedAt)} UTC upon version ${one.base}${one.bytes === null ? '' : ` (${bytes(one.bytes)})`}`,
  );
  return `Draft ${draft}${whose} of ${targetOf(place)}: ${kept}; not stored: ${each.join(', ')}. What shall become of them?`;
}

export function namedText(named: Named[]): string {
  const each = named.slice(0, MAX_NAMED).map(({ draft, why }) => `draft ${draft}: ${why}`);
  return `${each.join('; ')}${named.length > MAX_NAMED ? `; and ${named.length - MAX_NAMED} more` : ''}`;
}
