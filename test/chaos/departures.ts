import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TimelineEntry } from '../../src/contract/report';
import type { Departure, EndedRun } from './facts';
import { outcomeOf } from './facts';
import { writesIn } from './survey';
import type { World } from './world';

/** What the restores of a round took out of the live database, by their reports and the databases that they keep. */
export async function readDepartures(world: World, runs: EndedRun[]): Promise<Departure[]> {
  const found: Departure[] = [];
  for (const run of runs.filter(({ plan }) => plan.kind === 'restore')) {
    const { workflowId, report } = run;
    const swap = lineOf(run, 'Swap');
    if (swap === undefined) continue;
    const swappedBack = lineOf(run, 'Swap back');
    if (swappedBack !== undefined) {
      // People were asked: what was written to the copy goes with it.
      const [fromMs, toMs] = [Date.parse(swap.startedAt), endOf(swappedBack)];
      found.push({ workflowId, fromMs, toMs, toldAtMost: undefined, kept: undefined });
    }
    if (outcomeOf(run) !== 'SUCCEEDED') continue;
    const former = String(report?.facts['formerDatabase']);
    const told = report?.facts['rowsLostAtMost'];
    const late = report?.facts['rowsOnlyInFormerDatabase'];
    found.push({
      workflowId,
      fromMs: snapshotOf(world, run),
      toMs: endOf(swap),
      toldAtMost: typeof told === 'number' ? told + (typeof late === 'number' ? late : 0) : undefined,
      kept: await writesIn(world, former),
    });
  }
  return found;
}

function lineOf({ report }: EndedRun, title: string): TimelineEntry | undefined {
  return report?.timeline.find((entry) => entry.title === title && entry.status === 'done');
}

const endOf = ({ endedAt, startedAt }: TimelineEntry): number => Date.parse(endedAt ?? startedAt);

/** Of the backup that it says it has restored, by the backup's own manifest. */
function snapshotOf({ driver }: World, { report }: EndedRun): number {
  const backupId = /is restored from (\S+);/.exec(report?.summary ?? '')?.[1] ?? 'unknown';
  const file = join(driver.stack.directory, 'backups/booking/production', backupId, 'manifest.json');
  const { snapshotAt } = JSON.parse(readFileSync(file, 'utf8')) as { snapshotAt: string };
  return Date.parse(snapshotAt);
}
