import type { InventoryAudit } from '../../../activities/inventory/audit';
import type { Repaired } from '../../../activities/postgres/repair/batches';
import { type Fence, type Place, targetOf } from '../../../contract/place';
import { leftText, putBack, repairKey } from '../../bookings/take-back';
import { uncheckedOf, verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, type Run, runbook } from '../../kit';
import type { auditInventoryCard } from './card';
import { stopConfirmations, type Stopped } from './confirmations';
import {
  actsOn,
  auditText,
  draftOf,
  findingsOf,
  type Look,
  peopleText,
  rebuildText,
  recentText,
} from './plan';

interface Done {
  rebuilt: number;
  /** Says so where confirmations stay stopped. */
  stopped?: string | undefined;
  /** What people have to decide about, as it is after the rebuild. */
  after: InventoryAudit;
}

/** Puts counters right that are not what the ledger adds up to, and has people decide about what was sold too often. */
export const auditInventory = runbook<typeof auditInventoryCard>(
  'auditInventory',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    const target = targetOf(place);
    const look = await diagnose(run, place);
    const { audit } = look;
    const warnings = await uncheckedOf(run, place);
    let stale = false;
    await run.gate(async () => {
      if (stale) await endWhereAllIsWell(run, place, look);
      stale = true;
      return draftOf(place, look, warnings);
    });
    const done: Done = actsOn(audit)
      ? await run.exclusively(target, (fence) => putRight(run, place, look, fence), audit.fenceToken)
      : { rebuilt: 0, after: audit };
    run.fact('countersRebuilt', done.rebuilt);
    const theirs = await handOver(run, place, done);
    await run.verify(
      'No other unit is counted wrongly, or sold too often',
      (act) => act.compareInventory(place),
      (now) => {
        const others = now.forPeople.filter((id) => !theirs.has(id));
        const wrong = now.rebuild.length + others.length;
        return {
          ok: wrong === 0,
          detail:
            wrong === 0
              ? auditText(now)
              : `${rebuildText(now)}; ${peopleText(now)}. Start again, and they are looked at anew`,
        };
      },
    );
    const people =
      theirs.size === 0 ? 'none is sold too often' : `a person has ${countOf(theirs.size, 'unit')}`;
    return `${countOf(done.rebuilt, 'counter')} of ${target} rebuilt from the ledger; ${people}${done.stopped === undefined ? '' : `; ${done.stopped}`}`;
  },
);

function compare(run: Run, place: Place, title: string, among?: string[]): Promise<InventoryAudit> {
  return run.step(
    title,
    (act) => act.compareInventory({ ...place, ...(among === undefined ? {} : { among }) }),
    {
      kind: 'long',
      undo: 'read-only',
      describe: (audit) => `${auditText(audit)}${among === undefined ? `; ${recentText(audit.recent)}` : ''}`,
    },
  );
}

/** Ends the run where counters, ledger and bookings agree and nothing is sold too often. */
async function diagnose(run: Run, place: Place): Promise<Look> {
  const audit = await compare(run, place, 'Compare counters, ledger and bookings');
  run.fact('countersWrong', audit.rebuild.length);
  run.fact('unitsOverCapacity', audit.soldOver);
  const rejections = await run.step('Updates refused for want of units', (act) => act.readRejections(place), {
    describe: ({ detail }) => detail,
  });
  const { counter } = audit;
  const statements = await run.step(
    'Look for statements that lock no row',
    (act) => act.findUnlockedStatements({ ...place, counter }),
    {
      describe: ({ missing, statements: found, open }) =>
        `${missing === undefined ? countOf(found.length, 'statement') : 'not known: nobody counts statements'}; ${countOf(open.length, 'open transaction')}`,
    },
  );
  const confirmations = await run.step('Are confirmations taken?', (act) => act.readConfirmations(place), {
    describe: ({ detail }) => detail,
  });
  const look = { audit, statements, rejections, confirmations };
  if (audit.rebuild.length > 0 || audit.forPeople.length > 0) return look;
  const findings = findingsOf(look);
  return run.nothingToDo(
    `counters of ${targetOf(place)} are what the ledger adds up to, and none is over capacity${findings.length === 0 ? '' : `; ${findings.join('; ')}`}`,
  );
}

/** People may have taken hours. The units of the plan stay those, and what is right by now is left alone under the lock. */
async function endWhereAllIsWell(run: Run, place: Place, { audit }: Look): Promise<void> {
  const among = [...new Set([...audit.rebuild, ...audit.forPeople])];
  const now = await compare(run, place, 'Compare those units again', among);
  if (now.rebuild.length + now.forPeople.length > 0) return;
  run.nothingToDo(
    `counters of ${targetOf(place)} are what the ledger adds up to by now, and none is over capacity`,
  );
}

async function putRight(run: Run, place: Place, look: Look, fence: Fence): Promise<Done> {
  const { rebuild, forPeople } = look.audit;
  const confirmations = await stopConfirmations(run, place, look, fence);
  const { done, left } =
    rebuild.length === 0
      ? { done: 0, left: [] }
      : await rebuildCounters(run, place, rebuild, { fence, confirmations });
  for (const { unit, why } of left) run.note(`Left alone: ${unit}`, why, { failed: true });
  const leftAlone = new Set(left.map(({ unit }) => unit));
  const after = await run.verify(
    'The counters are what the ledger adds up to',
    (act) => act.compareInventory({ ...place, among: [...new Set([...rebuild, ...forPeople])] }),
    (now) => {
      const wrong = now.rebuild.filter((id) => !leftAlone.has(`unit ${id}`));
      return { ok: wrong.length === 0, detail: rebuildText(now) };
    },
  );
  await verifyHealth(run, place);
  const stopped = await confirmations.resume(after);
  await verifySmoke(run, place);
  return { rebuilt: done, stopped, after };
}

const REBUILD = 'Rebuild the counters from the ledger';

function rebuildCounters(
  run: Run,
  place: Place,
  units: string[],
  { fence, confirmations }: { fence: Fence; confirmations: Stopped },
): Promise<Repaired> {
  const putThemBack = async (): Promise<void> => {
    try {
      await putBack(run, { title: REBUILD, noun: 'counter' }, (act) =>
        act.undoRebuild({ ...place, run: repairKey(), fence }),
      );
    } catch (error) {
      throw await confirmations.resumeDespite(error);
    }
  };
  return run.step(REBUILD, (act) => act.rebuildCounters({ ...place, units, run: repairKey(), fence }), {
    kind: 'mutate',
    undo: { title: 'Put the counters back', back: putThemBack },
    describe: ({ done, left }) =>
      `${countOf(done, 'counter')}${left.length === 0 ? '' : `; left alone: ${leftText(left)}`}`,
  });
}

/** What the run does not decide: whose booking gives way, and which of two books is right. Returns the units that people have. */
async function handOver(run: Run, place: Place, { after, stopped }: Done): Promise<Set<string>> {
  const { forPeople } = after;
  if (forPeople.length > 0)
    await run.task(
      `${targetOf(place)} has units that are sold too often, or whose ledger cannot be followed: ${peopleText(after)}. Decide which bookings give way, and correct ledger or bookings; this run cancels none${stopped === undefined ? '' : `, and ${stopped}`}. Say done when you have them in hand.`,
    );
  return new Set(forPeople);
}
