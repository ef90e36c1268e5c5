import { cpus } from 'node:os';
import { say } from './measure';

const LOOK_MS = 1_500;
/** Our own servers take a little even while nothing is asked of them. */
const IDLE_SHARE = 0.15;
const PATIENCE_MS = 90_000;

/**
 * Waits until hardly anything else runs on this machine: what takes both cores suffers more from a neighbour than what
 * takes one, and that would be measured instead. Gives up after a while, and says so.
 */
export async function untilIdle(): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const busy = await busyShare();
    if (busy <= IDLE_SHARE) return;
    if (Date.now() > deadline)
      return say(`the machine stays ${Math.round(busy * 100)} % busy, measuring anyway`);
  }
}

async function busyShare(): Promise<number> {
  const before = sumTimes();
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  const after = sumTimes();
  return 1 - (after.idle - before.idle) / Math.max(1, after.all - before.all);
}

function sumTimes(): { idle: number; all: number } {
  const times = cpus().map((core) => core.times);
  const idle = times.reduce((sum, core) => sum + core.idle, 0);
  return { idle, all: times.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, idle) };
}
