import type { LoadedConfig } from '../config/load';
import { byService, type GaugeSpec } from './samples';

const labels = ['service'];

/** Whether there is a backup, whether it can be restored, how fast, and what was wanted. */
export function proofGauges({ services }: LoadedConfig): GaugeSpec[] {
  return [...proven, ...drilled, objectives(services)];
}

const seconds = (atMs: number | undefined) => (atMs === undefined ? undefined : atMs / 1_000);

function age(atMs: number | undefined, nowMs: number): number | undefined {
  if (atMs === undefined) return undefined;
  return atMs === 0 ? Infinity : (nowMs - atMs) / 1_000;
}

const proven: GaugeSpec[] = [
  {
    name: 'runbooks_last_proven_backup_timestamp_seconds',
    help: 'Snapshot of the newest backup of production that is complete and whole; 0 when there never was one',
    labels,
    samples: ({ proofs }) => byService(proofs, ({ backupMs }) => seconds(backupMs)),
  },
  {
    name: 'runbooks_last_proven_backup_age_seconds',
    help: 'Seconds since that snapshot; +Inf when there never was one',
    labels,
    samples: ({ proofs }, nowMs) => byService(proofs, ({ backupMs }) => age(backupMs, nowMs)),
  },
  {
    name: 'runbooks_last_verified_restore_timestamp_seconds',
    help: 'When a backup of production was last restored and everything in it found; 0 when never',
    labels,
    samples: ({ proofs }) => byService(proofs, ({ restoreMs }) => seconds(restoreMs)),
  },
  {
    name: 'runbooks_last_verified_restore_age_seconds',
    help: 'Seconds since then; +Inf when never',
    labels,
    samples: ({ proofs }, nowMs) => byService(proofs, ({ restoreMs }) => age(restoreMs, nowMs)),
  },
];

const drilled: GaugeSpec[] = [
  {
    name: 'runbooks_drill_rto_seconds',
    help: 'Recovery time of the last drill: what it measured, and the estimated rest',
    labels,
    samples: ({ proofs }) => byService(proofs, ({ drill }) => drill?.rtoSeconds),
  },
  {
    name: 'runbooks_drill_rpo_seconds',
    help: 'Age of the newest backup at the last drill: what would have been lost',
    labels,
    samples: ({ proofs }) => byService(proofs, ({ drill }) => drill?.rpoSeconds),
  },
];

/** So that alert rules compare with the configuration and not with a number of their own. */
function objectives(services: LoadedConfig['services']): GaugeSpec {
  return {
    name: 'runbooks_objective_seconds',
    help: 'What the configuration wants: rto and rpo of a restore, and how old the newest backup may be',
    labels: ['service', 'objective'],
    samples: () =>
      Object.entries(services).flatMap(([service, { restore, backups }]) => {
        if (backups === undefined) return [];
        return [
          { labels: { service, objective: 'rto' }, value: restore.rtoMinutes * 60 },
          { labels: { service, objective: 'rpo' }, value: restore.rpoMinutes * 60 },
          { labels: { service, objective: 'backup' }, value: backups.maxAgeHours * 3_600 },
        ];
      }),
  };
}
