import { isCancellation } from '@temporalio/workflow';
import type { LostDraft, LostSaves } from '../../../activities/drafts/look';
import type { Salvage } from '../../../activities/drafts/store';
import type { InputOf } from '../../../catalogue/card';
import { DECIDED_STEP, SALVAGE_STEP } from '../../../contract/drafts';
import { type Place, targetOf } from '../../../contract/place';
import { earlierThan } from '../../application/choose-deployment';
import { suspectOf } from '../../application/suspect-deployment';
import { uncheckedOf } from '../../database/checks';
import { countOf, type Run, runbook } from '../../kit';
import type { recoverAutosaveCard } from './card';
import { decide, type Named } from './decide';
import { keepEditsLocal } from './local-only';
import { draftOf, lostText, type Look, namedText } from './plan';
import { askAbout, ownersOf, salvage, tellOwners } from './salvage';
import { mend, type Started, verifySaves } from './saves';

type Input = InputOf<typeof recoverAutosaveCard>;
type Deployments = Started['deployments'];

/** Stops the loss of what people write, and brings back what was lost. */
export const recoverAutosave = runbook<typeof recoverAutosaveCard>('recoverAutosave', async (input, run) => {
  const place = { service: input.service, environment: input.environment };
  const deployments = await readDeployments(run, place);
  let look = await diagnose(run, place, input, deployments);
  const warnings = await uncheckedOf(run, place);
  let stale = false;
  await run.gate(async () => {
    if (stale) look = await diagnose(run, place, input, deployments);
    stale = true;
    return draftOf(place, look, warnings);
  });
  const failing = look.saving.failing === true;
  let saveAsUsual = async (): Promise<boolean> => false;
  if (failing) {
    await run.announce(`${input.service}: saves fail (${look.saving.detail}). They are being recovered.`);
    if (look.protection.localOnly) saveAsUsual = await keepEditsLocal(run, place, look.protection.saveByHand);
    await mend(run, place, look, { by: input.startedBy, deployments });
    await letEditorsSave(run, look.protection, saveAsUsual);
  }
  const lost = failing ? await findLost(run, place) : look.lost;
  const { salvages, conflicts, named } = decide(lost);
  const all = new Results(run, place, look, lost);
  await all.salvage(salvages, SALVAGE_STEP, 'Salvage the drafts');
  await saveAsUsual();
  if (failing) await verifySaves(run, place, look.protection);
  const answered = await askAbout(run, place, conflicts);
  await all.salvage(answered.salvages, DECIDED_STEP, 'Salvage the drafts in conflict');
  all.named.push(...named, ...answered.named);
  await nothingElseIsLost(run, place, all.named);
  return all.summary();
});

/**
 * Before anything is salvaged, and so raised to another version: whoever still has the newest words open saves them upon
 * the version that is stored, and nothing of that editor is lost any more.
 */
async function letEditorsSave(
  run: Run,
  { settleMs }: Look['protection'],
  saveAsUsual: () => Promise<boolean>,
): Promise<void> {
  let saving = false;
  const { ok, why } = await run.attempt(async () => void (saving = await saveAsUsual()));
  if (!ok) run.note('Drafts are salvaged all the same', why, { failed: true });
  if (saving) await run.rest('Editors save what they have kept', settleMs);
}

/** What came of the drafts, step by step. */
class Results {
  readonly named: Named[] = [];
  private salvaged = 0;

  constructor(
    private readonly run: Run,
    private readonly place: Place,
    private readonly look: Look,
    private readonly lost: LostSaves,
  ) {}

  async salvage(salvages: Salvage[], step: string, title: string): Promise<void> {
    const { run, place, lost, look } = this;
    const left = await salvage(run, place, { salvages, step, title, fenceToken: lost.fenceToken });
    this.named.push(...left);
    this.salvaged += salvages.length - left.length;
    run.fact('draftsSalvaged', this.salvaged);
    await tellOwners(run, place, ownersOf(lost.drafts, salvages, left), {
      inform: look.protection.inform,
      step,
    });
  }

  summary(): string {
    const { named, salvaged, place } = this;
    this.run.fact('draftsNamed', named.length);
    return `${countOf(salvaged, 'draft')} of ${targetOf(place)} salvaged; ${named.length === 0 ? 'no save that was tried is lost' : `not salvaged: ${namedText(named)}`}`;
  }
}

/** Ends the run where nothing is lost and saves are not known to fail. */
async function diagnose(run: Run, place: Place, input: Input, deployments: Deployments): Promise<Look> {
  const protection = await run.look('What may be done about it', (act) => act.readProtection(place));
  const saving = await run.step('Do saves fail?', (act) => act.readSaving(place), {
    describe: ({ detail }) => detail,
  });
  run.fact('savesFailed', `${saving.failed} of ${saving.attempts}`);
  const lost = await findLost(run, place);
  if (saving.failing !== true && lost.total === 0)
    return run.nothingToDo(`${saving.detail}; ${lostText(lost)}`);
  return { protection, saving, lost, suspect: await suspect(run, place, input, saving.since, deployments) };
}

function findLost(run: Run, place: Place): Promise<LostSaves> {
  return run.step('Look for saves that were lost', (act) => act.findLostSaves(place), {
    kind: 'long',
    undo: 'read-only',
    describe: lostText,
  });
}

/** Where they cannot be read, or there are none, nothing is rolled back. */
async function readDeployments(run: Run, { service, environment }: Place): Promise<Deployments> {
  const { suspectMs } = await run.look('What may be rolled back', (act) =>
    act.readRemedies({ service, environment }),
  );
  if (suspectMs === null || environment !== 'production') return [];
  return run
    .step('Recent deployments', (act) => act.listDeployments({ service }), {
      describe: (all) => countOf(all.length, 'deployment'),
    })
    .catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      return [];
    });
}

async function suspect(
  run: Run,
  place: Place,
  { alert }: Input,
  since: string | null,
  deployments: Deployments,
): Promise<Look['suspect']> {
  const began = alert?.startsAt ?? since;
  if (began === null || deployments.length === 0) return null;
  const { suspectMs } = await run.look('What may be rolled back', (act) => act.readRemedies(place));
  const found = suspectOf(deployments, { suspectMs, beganAtMs: Date.parse(began) }, 'failed saves');
  return found === undefined || earlierThan(found.current, deployments) === undefined ? null : found;
}

/** Named ones are left to a person; anything else that is lost by now has come meanwhile. */
async function nothingElseIsLost(run: Run, place: Place, named: Named[]): Promise<void> {
  const known = new Set(named.map(({ draft }) => draft));
  const others = (drafts: LostDraft[]) => drafts.filter(({ draft }) => !known.has(draft));
  await run.verify(
    'Every attempt is stored or named',
    (act) => act.findLostSaves(place),
    (lost) => {
      const { length } = others(lost.drafts);
      const more = lost.total - lost.drafts.length;
      return {
        ok: length + more === 0,
        detail:
          length + more === 0
            ? `${known.size} named`
            : `${countOf(length + more, 'draft')} with lost saves beside those: start again, and they are looked at anew`,
      };
    },
  );
  const undecided = named.filter(({ why }) => !why.endsWith('as decided'));
  if (undecided.length > 0)
    await run.task(
      `${targetOf(place)}: these were not salvaged, and what was written is in the journal only. Look at each, and talk to its owner: ${namedText(undecided)}.`,
    );
}
