import type { Alert } from '../../../contract/alert';
import type { MatchingRunbook } from '../../../activities/incidents/incident-activities';
import { type Mode, lower } from '../../../contract/modes';
import { causeOf, now, type Run } from '../../kit';
import { isResolved, type Incident } from './incident';
import { sendUpdate } from './updates';

/** Starts the runbook that belongs to the incident beside leading it. What comes of it is told to everybody. */
export function startRunbook(
  incident: Incident,
  run: Run,
  { startedBy, alert, service }: { startedBy: string; alert?: Alert | undefined; service: string },
  { runbook, input, because }: MatchingRunbook,
): void {
  const { record } = incident;
  const mode = lower((input['mode'] as Mode | undefined) ?? 'auto', run.policy.mode);
  const reason = `${because}; part of ${run.id}`.slice(0, 500);
  const given = { ...input, service, mode, startedBy, reason, ...(alert === undefined ? {} : { alert }) };
  const ended = run.child(`Runbook ${runbook}`, runbook, given, (workflowId) => {
    record.runbook = { runbook, workflowId, startedAt: now() };
  });
  incident.child = ended.then(
    ({ outcome, summary }) => settle(incident, outcome, summary),
    (error: unknown) => settle(incident, 'CANCELLED', causeOf(error).message),
  );
}

function settle(incident: Incident, outcome: string, summary: string): void {
  const { record } = incident;
  if (record.runbook !== undefined) Object.assign(record.runbook, { endedAt: now(), outcome, summary });
  if (isResolved(incident)) return;
  incident.todo.push((run) => sendUpdate(incident, run, `the runbook ended as ${outcome}`));
}
