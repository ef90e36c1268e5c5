import { setTimeout as sleep } from 'node:timers/promises';
import { readDepartures } from './departures';
import type { Round } from './draw';
import type { Departure, EndedRun, Facts, Finding } from './facts';
import { outcomeOf } from './facts';
import { createStriker, type Struck } from './faults';
import { judge } from './judge';
import { follow, prepareRun, readEnd } from './runs';
import {
  countTrouble,
  liveOid,
  surveyApplication,
  surveyBackups,
  surveyLeases,
  surveyLeftovers,
  surveyMigrations,
  writesIn,
} from './survey';
import { tidyUp } from './tidy-up';
import type { World } from './world';

/** What a round needs to know of those before it. */
export interface Memory {
  runs: number;
  migrations: string[];
  earlier: EndedRun[];
  departures: Departure[];
  tokens: Facts['tokens'];
  backups: Set<string>;
}

export interface Played {
  runs: EndedRun[];
  struck: Struck[];
  findings: Finding[];
}

/** After the last fault: what recovers by itself has done so long before. */
const PATIENCE_MS = 180_000;
/** What a run leaves to others, e.g. to its guard, is done a moment after its end. */
const SETTLE_MS = 20_000;

export const newMemory = (): Memory => ({
  runs: 0,
  migrations: [],
  earlier: [],
  departures: [],
  tokens: [],
  backups: new Set(),
});

/** Starts the runs, lets the faults happen while any of them is under way, waits for the end of all, and judges. */
export async function playRound(
  world: World,
  round: Round,
  memory: Memory,
  faultsLeft = Infinity,
): Promise<Played> {
  const oid = await liveOid(world);
  const prepared = await Promise.all(
    round.runs.map((plan, index) => prepareRun(world, plan, memory.runs + index)),
  );
  const { front } = surveyApplication(world);
  const first = memory.runs;
  memory.runs += prepared.length;
  memory.migrations.push(...prepared.flatMap(({ migration }) => migration ?? []));
  let lastFaultMs = Date.now();
  let open = true;
  const following = Promise.all(
    prepared.map((one, index) =>
      follow(world, one, { number: first + index, front, untilMs: () => lastFaultMs + PATIENCE_MS }),
    ),
  ).finally(() => (open = false));

  const strike = createStriker(world);
  const strikes: Promise<Struck | undefined>[] = [];
  for (const plan of round.faults.slice(0, faultsLeft)) {
    await sleep(plan.afterMs);
    if (!open) break;
    strikes.push(strike(plan));
    lastFaultMs = Date.now();
  }
  const struck = (await Promise.all(strikes)).filter((one) => one !== undefined);
  lastFaultMs = Date.now();
  const followed = await following;
  await everythingRuns(world);

  const runs = await Promise.all(followed.map((run) => readEnd(world, run)));
  memory.departures.push(...(await readDepartures(world, runs)));
  memory.tokens.push(...runs.flatMap(tokensOf));
  const findings = await examine(world, memory, {
    runs,
    backups: await surveyBackups(world, memory.backups),
    replaced: (await liveOid(world)) !== oid,
    trouble: prepared.flatMap(({ trouble }) => trouble),
    repairs: async () => (await Promise.all(prepared.map((one) => one.repairs(struck)))).flat(),
  });
  memory.earlier.push(...runs);
  await Promise.all(prepared.map((one) => one.stop()));
  await tidyUp(world, runs);
  return { runs, struck, findings };
}

interface Ended extends Pick<Facts, 'runs' | 'backups' | 'replaced'> {
  /** Process IDs of forgotten transactions. */
  trouble: number[];
  repairs: () => Promise<Facts['repairs']>;
}

/** Looks at everything that is there and judges it, again while something may be about to go. */
export async function examine(
  world: World,
  { migrations, earlier, departures, tokens }: Memory,
  { trouble, repairs, ...ended }: Ended,
  settleMs = SETTLE_MS,
): Promise<Finding[]> {
  for (const untilMs = Date.now() + settleMs; ; await sleep(500)) {
    // First what was answered, then what is there: nothing is missing because it came between the two.
    const writes = world.writer.writes();
    const findings = judge({
      ...{ ...ended, earlier, departures, tokens, writes },
      live: await writesIn(world, 'booking_production'),
      migrations: await surveyMigrations(world, migrations),
      repairs: await repairs(),
      leases: await surveyLeases(world),
      application: surveyApplication(world),
      leftovers: await surveyLeftovers(world, formersOf(ended.runs)),
      troubleSessions: await countTrouble(world, trouble),
    });
    if (findings.length === 0 || Date.now() > untilMs) return findings;
  }
}

/** The workers are back, and the database takes writes. */
async function everythingRuns({ workers, writer }: World): Promise<void> {
  while (workers.some(({ now }) => now === undefined)) await sleep(100);
  await Promise.race([writer.acknowledged(), sleep(SETTLE_MS, undefined, { ref: false })]);
}

function tokensOf({ workflowId, report }: EndedRun): Facts['tokens'] {
  return (report?.timeline ?? []).flatMap(({ title, detail }) => {
    const token = /^fencing token (\d+)$/.exec(detail ?? '')?.[1];
    const target = /^Lease of (.*)$/.exec(title)?.[1];
    return token === undefined || target === undefined ? [] : [{ target, token, workflowId }];
  });
}

function formersOf(runs: EndedRun[]): string[] {
  return runs
    .filter((run) => outcomeOf(run) === 'SUCCEEDED')
    .flatMap(({ report }) => String(report?.facts['formerDatabase'] ?? []));
}
