import type { Place } from '../../../contract/place';
import type { Run } from '../../kit';
import type { BroughtIn } from './bring-in';

/** What a run has done, and has still to do. */
export interface SoFar {
  /** Their former versions are still to be retired. */
  brought: BroughtIn[];
  retired: string[];
  /** Not swapped, as decided. */
  declined: string[];
  /** What could not be done, and why; the rest goes on. */
  failures: string[];
  /** Of how many failures people know. */
  told: number;
}

/** Before the run waits: each of them once. */
export async function tellFailures(run: Run, place: Place, so: SoFar): Promise<void> {
  const news = so.failures.slice(so.told);
  so.told = so.failures.length;
  if (news.length > 0) await callPeople(run, place, news.join('; '));
}

export async function callPeople(run: Run, { service }: Place, problem: string): Promise<void> {
  await run.page(
    `${service}: secrets could not be rotated: ${problem.replace(/\.+$/, '')}. Look at it, then start rotateSecrets again.`,
  );
}
