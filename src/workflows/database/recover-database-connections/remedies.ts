import { sleep } from '@temporalio/workflow';
import type { Alert } from '../../../contract/alert';
import { targetOf, type Fence, type Place } from '../../../contract/place';
import { duration, type Run } from '../../kit';
import { handOver } from '../../application/trial';
import { taskText } from './advice';
import { keyOf, planFor, remedyFor, type Remedy } from './plan';
import {
  causeText,
  findingText,
  look,
  mayBeStopped,
  movesOnFrom,
  situationNow,
  situationText,
  type Finding,
  type Situation,
} from './situation';

const LOOK_EVERY_MS = 2_000;
const MAX_LOOKS = 60;
/** For as long as a person has not mended it; a look costs history. */
const WATCH_EVERY_MS = 60_000;

/** One run of it, and what it has tried. */
export interface Recovery {
  run: Run;
  place: Place;
  startedBy: string;
  alert: Alert | undefined;
  /** Whether the application can be restarted, and something tells whether it has to be. */
  restart: boolean;
  unchecked: string[];
  /** Keys of remedies, with what came of them. */
  tried: Map<string, string>;
  /** What was done, in order. */
  done: string[];
  rounds: number;
  /** A plan of this run has passed its gate: each of them has the restart in it. */
  approved: boolean;
}

/** Does one thing about what was found. Returns what was done, or undefined where nothing had to be. */
export async function remedy(one: Recovery, found: Situation): Promise<string | undefined> {
  const { run, place, tried } = one;
  let now = found;
  // It has a plan and an approval of its own.
  if (chosen(one, now) !== 'relieve') now = await approved(one, now);
  const wanted = chosen(one, now);
  const [first] = now.findings;
  if (wanted === undefined || first === undefined) return undefined;
  const said = wanted === 'task' ? await askPerson(one, now) : await act(one, now, wanted);
  tried.set(keyOf(wanted, first.cause), said);
  run.note(`After: ${causeText(first.cause)}`, `${said}, on ${targetOf(place)}`);
  return said;
}

function chosen({ tried }: Recovery, now: Situation): Remedy | undefined {
  return remedyFor(now, new Set(tried.keys()));
}

/** Ends the run where it is over meanwhile, and nothing was done. */
export async function approved(one: Recovery, found: Situation): Promise<Situation> {
  const { run, place, restart, unchecked, tried } = one;
  let now = found;
  let fresh = true;
  await run.gate(async () => {
    if (!fresh) now = await look(run, place, 'Is it still so?');
    fresh = false;
    if (now.findings.length === 0 && now.failing.length === 0 && tried.size === 0)
      return run.nothingToDo(`the database answers again: ${situationText(now)}`);
    return planFor(place, now, { remedy: chosen(one, now), restart, unchecked });
  });
  one.approved = true;
  return now;
}

async function act(one: Recovery, now: Situation, wanted: Exclude<Remedy, 'task'>): Promise<string> {
  switch (wanted) {
    case 'start':
      return start(one);
    case 'wait':
      return (await answers(one, now, now.findings[0]?.whose))
        ? 'it came back by itself'
        : 'it was waited for, in vain';
    case 'relieve':
      return relieve(one, now);
  }
}

/** Nobody restores it, or works in it otherwise, meanwhile. */
async function start(one: Recovery): Promise<string> {
  const { run, place } = one;
  return run.exclusively(targetOf(place), async (fence) => {
    const now = await look(run, place, 'Does it still not run?');
    if (!mayBeStopped(now)) return 'its server runs again';
    const { ok, why } = await run.attempt(() => tellToStart(one, fence));
    // A person can start it in another way than this one.
    if (!ok) return `its server could not be started: ${why.replace(/\.$/, '')}`;
    const back = await answers(one, now);
    return back ? 'the database server was started' : 'the database server was started, and does not answer';
  });
}

async function tellToStart({ run, place }: Recovery, fence: Fence): Promise<void> {
  const { ran, detail } = await run.step(
    'Start the database server',
    (activities) => activities.startDatabaseServer({ ...place, fence }),
    {
      kind: 'mutate',
      undo: { irreversible: 'the database server was started', unless: (result) => !result.ran },
      describe: (result) => result.detail,
    },
  );
  if (!ran) throw new Error(detail);
}

/** Whether the server answers them in time, whatever it says then. */
async function answers(
  { run, place }: Recovery,
  { diagnosis: { settleMs } }: Situation,
  whom: Finding['whose'] = 'the runbooks',
): Promise<boolean> {
  const { ok } = await run.check(`It answers within ${duration(settleMs)}`, async (activities) => {
    const everyMs = Math.max(LOOK_EVERY_MS, settleMs / MAX_LOOKS);
    let now = await situationNow(activities, place);
    for (const deadline = Date.now() + settleMs; isAway(now, whom) && Date.now() < deadline;) {
      await sleep(everyMs);
      now = await situationNow(activities, place);
    }
    return { ok: !isAway(now, whom), detail: situationText(now) };
  });
  return ok;
}

function isAway({ diagnosis: { runbooks, application } }: Situation, whom: Finding['whose']): boolean {
  const met = whom === 'the runbooks' ? runbooks : application;
  return ['refused', 'unreachable', 'paused', 'starting', 'resolver'].includes(met?.cause ?? '');
}

async function relieve({ run, place, startedBy, alert, ...one }: Recovery, now: Situation): Promise<string> {
  const [first] = now.findings;
  const finding = { cause: 'too many connections', evidence: first === undefined ? '' : findingText(first) };
  const { restart, unchecked } = one;
  const helped = await handOver(
    { run, place, finding, startedBy, alert, decided: false },
    {
      label: 'Relieve the connections',
      plan: (how) => {
        const draft = planFor(place, now, { remedy: 'relieve', restart, unchecked });
        const [relieving, ...rest] = draft.actions;
        return { ...draft, actions: [{ ...relieving!, detail: how }, ...rest] };
      },
    },
    'relieveConnectionPool',
    { environment: place.environment },
  );
  return helped ? 'the connections were relieved' : 'relieveConnectionPool did not help';
}

/** Returns when it is mended, or something else is found. */
async function askPerson({ run, place, tried }: Recovery, now: Situation): Promise<string> {
  for (const one of now.findings)
    run.note(`Finding: ${causeText(one.cause)}`, findingText(one), { failed: true });
  const before = [...tried.values()].at(-1);
  const movesOn = movesOnFrom(now);
  await run.task(taskText(place, now, before), {
    title: 'Is it mended?',
    everyMs: WATCH_EVERY_MS,
    call: async (activities) => {
      const then = await situationNow(activities, place);
      return { ok: movesOn(then, Date.now()), detail: situationText(then) };
    },
  });
  return 'a person was asked to mend it';
}
