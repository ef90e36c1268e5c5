import type { IncidentRecord } from '../../src/contract/incident';
import type { HistoryReport } from '../../src/contract/run-history';
import type { EntryStatus, Movement, TimelineEntry } from '../../src/contract/report';

const START = Date.parse('2026-11-21T03:02:00.000Z');
/** Minutes after the symptom began, as ISO time. */
export const at = (minutes: number) => new Date(START + minutes * 60_000).toISOString();

function entry(
  title: string,
  movement: Movement,
  status: EntryStatus,
  from: number,
  to = from,
  detail?: string,
): TimelineEntry {
  return {
    title,
    movement,
    status,
    startedAt: at(from),
    endedAt: at(to),
    ...(detail === undefined ? {} : { detail }),
  };
}

const RUNBOOK = 'respondToIncident/booking/alert-3f9a/resolveHighErrorRate-9';
const ILL = 'health 1 of 2 fail (ready: answered 503), error rate 18.20 %, objective 1.00 %';

export const incident = (part: Partial<IncidentRecord> = {}): IncidentRecord => ({
  title: 'Checkout fails for most customers',
  severity: 'P1',
  worst: 'P0',
  severities: [
    { severity: 'P1', by: 'triage', reason: '1 of 2 health checks fail', at: at(4.1) },
    { severity: 'P0', by: 'ben', reason: 'no booking goes through any longer', at: at(17) },
    { severity: 'P1', by: 'ben', reason: 'nine in ten go through again', at: at(52) },
  ],
  startedAt: at(0),
  openedAt: at(4),
  impact: 'About four bookings in five failed with an error page; nobody was charged twice.',
  scope: 'All customers of the web shop; partners with their own API were not affected.',
  commander: 'ben',
  acknowledged: { by: 'ben', at: at(12) },
  firstAcknowledgedAt: at(12),
  mitigatedAt: at(51),
  resolved: {
    by: 'ben',
    at: at(71),
    note: '1.4.1 is back in front, and it has held',
    proof: 'health 2 of 2 well, error rate 0.10 %',
  },
  reopened: [],
  updates: 6,
  pages: 3,
  escalations: ['nobody acknowledged within 5 min 0 s', 'P0 unresolved for 31 min 12 s'],
  findings: [
    {
      name: 'health ready',
      ok: false,
      detail: 'answered 503: {"availability":{"ok":false,"error":"column rating does not exist"}}',
    },
    { name: 'CI of main', ok: true, detail: 'success' },
    { name: 'recent-deployment', ok: false, detail: '1.5.0 was put in front 9 min 20 s before the symptom' },
  ],
  measured: 'health 2 of 2 well, error rate 0.10 %',
  runbook: {
    runbook: 'resolveHighErrorRate',
    workflowId: RUNBOOK,
    startedAt: at(4.5),
    endedAt: at(52),
    outcome: 'SUCCEEDED',
    summary: '1.4.1 is in front again instead of 1.5.0',
  },
  rootCause: 'Release 1.5.0 read a column that its migration adds only afterwards.',
  contributing: ['The smoke test does not search.'],
  worked: ['The rollback was one approval.'],
  failed: ['Support learned of it from customers.'],
  postmortem: { because: 'required for P0' },
  meeting: { dueAt: at(71 + 48 * 60), at: at(30 * 60), by: 'ben' },
  actions: [
    {
      id: 'A1',
      text: 'Add the missing test coverage: search in the smoke test',
      owner: 'cleo',
      due: '2026-11-28',
      closed: { by: 'cleo', at: at(2_000), note: 'merged' },
    },
    {
      id: 'A2',
      text: 'Improve the monitoring so that this is noticed sooner',
      owner: 'ben',
      due: '2026-12-05',
    },
    {
      id: 'A3',
      text: 'Update runbooks and docs where operational steps changed',
      owner: 'ana',
      due: '2026-11-22',
    },
  ],
  reminders: 1,
  ...part,
});

/** A P0 that nobody acknowledged at first, that a rollback ended, and whose post-mortem is not finished. */
export function ledIncidentReport(part: Partial<IncidentRecord> = {}): HistoryReport {
  return {
    runbook: 'respondToIncident',
    title: 'Respond to an incident',
    workflowId: 'respondToIncident/booking/alert-3f9a',
    runId: '0198f2b1-6f5e-7c3a-9d0e-5a1b2c3d4e5f',
    service: 'booking',
    mode: 'auto',
    startedBy: 'alert:prometheus',
    startedAt: at(4),
    summary: 'resolved; 2 things to do',
    approvals: [],
    incident: incident(part),
    facts: { timeToResolveSeconds: 4_260 },
    timeline: [
      entry('Read the input and the policy', 'diagnose', 'done', 4, 4.01),
      entry('Measure the service', 'diagnose', 'done', 4.05, 4.1, ILL),
      entry('Severity P1', 'diagnose', 'note', 4.1, 4.1, '1 of 2 health checks fail'),
      entry('Paged on-call', 'diagnose', 'note', 4.1, 4.1, '1 of 2 health checks fail'),
      entry('Read the further checks', 'diagnose', 'done', 4.2, 4.3, '3 checks well'),
      entry('List the deployments', 'diagnose', 'done', 4.3, 4.4, '1.5.0 since 2026-11-21 02:52:40 UTC'),
      entry(
        'Runbook resolveHighErrorRate',
        'act',
        'done',
        4.5,
        52,
        'SUCCEEDED: 1.4.1 is in front again instead of 1.5.0',
      ),
      entry('Status update 1: the incident is open', 'act', 'note', 4.4, 4.4, ILL),
      entry('Paged lead', 'act', 'note', 9.1, 9.1, 'nobody acknowledged within 5 min 0 s (1 page before)'),
      entry('A message did not arrive', 'act', 'note', 9.2, 9.2, 'chat: answered 500'),
      entry('Acknowledged by ben', 'act', 'note', 12, 12, 'after 8 min 0 s; commander: ben'),
      entry('Severity P1 becomes P0', 'act', 'note', 17, 17, 'ben: no booking goes through any longer'),
      entry('Paged lead', 'act', 'note', 17.1, 17.1, 'ben changed the severity from P1 to P0'),
      entry('Status update 2: by ben', 'act', 'note', 17.2, 17.2, 'rolling back (ben)'),
      entry('Status update 3: due', 'act', 'note', 32.2, 32.2, 'rolling back (ben)'),
      entry(
        'Paged vp',
        'act',
        'note',
        35.2,
        35.2,
        'unresolved for 31 min 12 s; P0 is escalated after 30 min 0 s',
      ),
      entry('Is it over?', 'verify', 'failed', 40, 40.1, `ben says that it is over: ${ILL}`),
      entry(
        'Status update 4: the runbook ended as SUCCEEDED',
        'act',
        'note',
        52.1,
        52.1,
        'health 2 of 2 well',
      ),
      entry('Is it over?', 'verify', 'done', 70.9, 71, 'ben says that it is over: health 2 of 2 well'),
      entry('Resolved by ben', 'verify', 'note', 71, 71, '1.4.1 is back in front, and it has held'),
      entry('Post-mortem draft', 'act', 'note', 71, 71, 'required for P0'),
      entry('Reminder 1', 'act', 'note', 71 + 24 * 60, 71 + 24 * 60, 'A2, A3'),
    ],
    history: {
      status: 'RUNNING',
      taskQueue: 'runbooks',
      events: 214,
      sizeBytes: 60_000,
      attempt: 1,
      toldByRun: true,
      activities: [],
      messages: [
        {
          kind: 'update',
          name: 'acknowledge',
          at: at(12),
          by: 'ben',
          argument: '{"by":"ben"}',
          answer: 'acknowledged by ben; commander: ben',
        },
      ],
    },
    children: [rollback()],
  };
}

function rollback(): HistoryReport {
  return {
    runbook: 'resolveHighErrorRate',
    title: 'Resolve a high error rate',
    workflowId: RUNBOOK,
    runId: '0198f2b1-6f5e-7c3a-9d0e-5a1b2c3d4e60',
    service: 'booking',
    mode: 'propose',
    startedBy: 'alert:prometheus',
    startedAt: at(4.5),
    endedAt: at(52),
    outcome: 'SUCCEEDED',
    summary: '1.4.1 is in front again instead of 1.5.0',
    approvals: [],
    facts: {},
    timeline: [
      entry('Health and error rate', 'diagnose', 'done', 4.6, 5, 'error rate 18.20 %'),
      entry('Approval of plan 3fa9c1d20b77', 'gate', 'done', 5.5, 45, 'approve by cleo'),
      entry('Put 1.4.1 in front', 'act', 'done', 45, 46.5, 'dep-2'),
      entry('It keeps serving', 'verify', 'done', 46.5, 51.8, '30 checks'),
    ],
    history: {
      status: 'COMPLETED',
      taskQueue: 'runbooks',
      events: 80,
      sizeBytes: 20_000,
      attempt: 1,
      toldByRun: true,
      activities: [],
      messages: [],
    },
  };
}
