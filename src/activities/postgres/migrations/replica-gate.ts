import type { Client } from 'pg';
import { fail } from '../../support/failure';
import { readReplicas } from '../session/replicas';
import { pause, type ApplyRun } from './apply-run';
import { whatStays } from './sql-error';

const LOOK_EVERY_MS = 500;

interface Gate {
  /** On the primary. */
  client: Client;
  settings: ApplyRun['settings'];
  label: string;
  /** For the failure: what is done already. */
  stays: string;
  report(changed: { phase: string }): void;
}

/** Before the first statement, and between those of a file that is split. A way back waits for nobody. */
export async function untilReplicasFollow(run: ApplyRun): Promise<void> {
  const { input, watcher, settings, label } = run;
  if (input.direction === 'down' || input.database.kind === 'scratch') return;
  const stays = whatStays(run);
  await replicasFollow({ client: watcher, settings, label, stays, report: (changed) => run.report(changed) });
}

/**
 * Waits until no replica is further behind than `maxReplicaLagSeconds`: what a migration writes comes on top, and whoever
 * reads from that replica would see it later still. Throws ReplicaLag after `lockDeadlineSeconds`.
 */
export async function replicasFollow({ client, settings, label, stays, report }: Gate): Promise<void> {
  const { maxReplicaLagSeconds, lockDeadlineSeconds } = settings;
  for (const until = Date.now() + lockDeadlineSeconds * 1_000; ;) {
    const [slowest] = await readReplicas(client);
    const lagSeconds = slowest?.lagSeconds ?? 0;
    if (slowest === undefined || lagSeconds <= maxReplicaLagSeconds) return;
    const behind = `replica ${slowest.name} of ${label} is ${Math.round(lagSeconds)} s behind`;
    if (Date.now() >= until) {
      throw fail(
        'ReplicaLag',
        `${behind}, and stayed more than ${maxReplicaLagSeconds} s behind (\`maxReplicaLagSeconds\`) for ${lockDeadlineSeconds} s. ${stays}. Start again when it follows, or drop a replica that nobody reads from.`,
      );
    }
    report({ phase: `waiting: ${behind}` });
    await pause(Math.min(LOOK_EVERY_MS, Math.max(1, until - Date.now())));
  }
}
