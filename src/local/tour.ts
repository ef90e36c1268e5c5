/** The tour of `npm start`: three runs on the booking sample that show what this is for. */
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { RunReport, RunStatus } from '../contract/report';

export interface Stop {
  title: string;
  runbook: string;
  input: Record<string, unknown>;
  expected: RunReport['outcome'];
  /** Who approves in the tour; a person would do this in the Temporal UI. */
  approver?: string;
}

export interface StopResult extends Stop {
  workflowId: string;
  runId: string;
  report: RunReport;
  seconds: number;
}

/** The line of a stop: a tick only where it ended as it should, which is not well for each. */
export function verdictLine({ title, report: { outcome }, expected }: StopResult): string {
  return `${outcome === expected ? '✔' : `✖ expected ${expected}:`} ${title}`;
}

/** What the tour shows, in this order: the drill uses the backup that the migrations took. */
export const TOUR: Stop[] = [
  {
    title: 'A migration that succeeds, approved by a second person',
    runbook: 'migrateDatabase',
    input: {
      service: 'booking',
      files: ['2026_11_01_add_booking_notes.sql'],
      mode: 'propose',
      startedBy: 'ana',
      reason: 'tour',
    },
    expected: 'SUCCEEDED',
    approver: 'ben',
  },
  {
    title: 'A migration that breaks the application and is rolled back',
    runbook: 'migrateDatabase',
    input: {
      service: 'booking',
      files: ['2026_11_03_merge_slot_capacity.sql'],
      mode: 'propose',
      startedBy: 'ana',
      reason: 'tour',
    },
    expected: 'ROLLED_BACK',
    approver: 'ben',
  },
  {
    title: 'A restore drill with measured RTO and RPO',
    runbook: 'drillRestore',
    input: { service: 'booking', recoveryPoint: 'latest', mode: 'auto', startedBy: 'ana', reason: 'tour' },
    expected: 'SUCCEEDED',
  },
];

const POLL_MS = 300;

/** Runs one stop to its end, approving its plan by the very hash it shows. `onStatus` hears every change. */
export async function visit(
  client: Client,
  taskQueue: string,
  stop: Stop,
  onStatus: (status: RunStatus) => void,
): Promise<StopResult> {
  const startedAt = Date.now();
  const workflowId = `${stop.runbook}/booking/tour-${startedAt}`;
  const handle = await client.workflow.start(stop.runbook, { taskQueue, workflowId, args: [stop.input] });
  const answered = new Set<string>();
  for (;;) {
    const { status } = await handle.describe();
    if (status.name !== 'RUNNING') break;
    const now = await handle.query<RunStatus>('status').catch(() => undefined);
    if (now !== undefined) {
      onStatus(now);
      await approve(handle, stop, now, answered);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const { memo } = await handle.describe();
  return {
    ...stop,
    workflowId,
    runId: handle.firstExecutionRunId,
    report: memo?.['report'] as RunReport,
    seconds: (Date.now() - startedAt) / 1_000,
  };
}

async function approve(
  handle: WorkflowHandle,
  stop: Stop,
  status: RunStatus,
  answered: Set<string>,
): Promise<void> {
  if (stop.approver === undefined) return;
  for (const { kind, id } of status.waiting) {
    if (kind !== 'approval' || answered.has(id)) continue;
    answered.add(id);
    await handle.executeUpdate('approve', {
      args: [{ plan: id, by: stop.approver, note: 'seen in the tour' }],
    });
  }
}
