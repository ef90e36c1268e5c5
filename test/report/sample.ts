import type { HistoryReport } from '../../src/contract/run-history';
import type { EntryStatus, Movement, TimelineEntry } from '../../src/contract/report';

const START = Date.parse('2026-11-21T03:12:04.000Z');
const at = (seconds: number) => new Date(START + seconds * 1_000).toISOString();

function entry(
  title: string,
  movement: Movement,
  status: EntryStatus,
  from: number,
  to?: number,
  detail?: string,
): TimelineEntry {
  return {
    title,
    movement,
    status,
    startedAt: at(from),
    ...(to === undefined ? {} : { endedAt: at(to) }),
    ...(detail === undefined ? {} : { detail }),
  };
}

const plan = '3fa9c1d20b77';

/** A migration that was approved after half an hour, broke an invariant and was rolled back. */
export function rolledBack(): HistoryReport {
  return {
    runbook: 'migrateDatabase',
    title: 'Migrate a database',
    workflowId: 'migrateDatabase/booking/20261121-031204-k3f9',
    runId: '0198f2b1-6f5e-7c3a-9d0e-5a1b2c3d4e5f',
    service: 'booking',
    mode: 'propose',
    startedBy: 'dana',
    startedAt: at(0),
    endedAt: at(1_986),
    outcome: 'ROLLED_BACK',
    summary: 'Invariants hold: no confirmed booking without a slot: 3 violations (VerificationFailed)',
    plan: {
      hash: plan,
      actions: [
        { action: 'back up', target: 'booking/production', detail: '1.1 GB, 9 tables' },
        { action: 'rehearse', target: 'a copy restored from that backup', count: 1 },
        { action: 'apply migration', target: 'booking/production', count: 3, detail: '002_merge_slots' },
      ],
      warnings: ['002_merge_slots.sql line 4: adding a NOT NULL column without a default rewrites the table'],
    },
    approvals: [
      {
        plan,
        by: 'sam',
        at: at(1_842),
        note: 'after the evening peak',
        key: 'SHA256:abc',
        identity: '4711@desk',
      },
    ],
    timeline: [
      entry(
        'Read the input and the policy',
        'diagnose',
        'done',
        0,
        0.1,
        "mode propose: the service's highest mode",
      ),
      entry(
        'Read the facts of booking/production',
        'diagnose',
        'done',
        0.1,
        1.3,
        'PostgreSQL 15.18, 1.1 GB, 9 tables',
      ),
      entry('Lint the pending migrations', 'diagnose', 'done', 1.3, 2.6, '1 warning'),
      entry('Back up booking/production', 'act', 'done', 2.6, 16.4, '365 MB, 9 files, checksums written'),
      entry(
        'Restore the backup into a disposable cluster',
        'act',
        'done',
        16.4,
        31.9,
        'matches the manifest',
      ),
      entry('Rehearse on the restored copy', 'act', 'done', 31.9, 38.2, 'longest block 112 ms'),
      entry(`Plan ${plan}`, 'plan', 'note', 38.2, 38.2, '3 actions'),
      entry(
        `Approval of plan ${plan}`,
        'gate',
        'done',
        38.2,
        1_842,
        'approve by sam: after the evening peak',
      ),
      entry(
        'Apply 002_merge_slots to booking/production',
        'act',
        'done',
        1_842,
        1_853,
        '3 statements, 2 lock attempts',
      ),
      entry(
        'Invariants hold',
        'verify',
        'failed',
        1_853,
        1_856,
        'no confirmed booking without a slot: 3 violations',
      ),
      entry(
        'Apply the down script of 002_merge_slots',
        'undo',
        'done',
        1_856,
        1_862,
        'schema delta is empty',
      ),
      entry('Invariants hold after the undo', 'undo', 'done', 1_862, 1_866, '4 of 4'),
      entry('Watch the error rate', 'verify', 'done', 1_866, 1_986, '12 checks, last: 0.1 %'),
      entry('ROLLED_BACK', 'undo', 'note', 1_986, 1_986),
    ],
    facts: {
      backupSeconds: 13.8,
      restoreSeconds: 15.5,
      backupBytes: 365_211_904,
      longestBlockMs: 112,
      totalBlockMs: 240,
      rowsChecked: 2_481_220,
    },
    history: {
      status: 'FAILED',
      taskQueue: 'runbooks',
      events: 74,
      sizeBytes: 31_400,
      attempt: 1,
      toldByRun: true,
      activities: [
        {
          title: 'Back up booking/production',
          type: 'backUp',
          scheduledAt: at(2.6),
          startedAt: at(9),
          endedAt: at(16.4),
          attempts: 2,
          status: 'done',
          failure: 'DatabaseUnreachable: Could not back up on booking/production: the connection was lost',
          worker: '4711@runner',
        },
      ],
      messages: [
        {
          kind: 'update',
          name: 'approve',
          at: at(1_842),
          by: 'sam',
          identity: '4711@desk',
          argument: `{"plan":"${plan}","by":"sam","note":"after the evening peak"}`,
          answer: 'approve by sam taken',
        },
      ],
    },
  };
}
