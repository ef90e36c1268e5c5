import { openDuties } from '../../../contract/incident';
import { countOf, duration, now, type Run, utc } from '../../kit';
import { page } from './escalation';
import { alertChanged, isResolved, noteAlert, policyOf, rest, type Incident } from './incident';
import { sendUpdate } from './updates';

/** Reminders that come as often as configured; further ones come weekly, so that a forgotten item cannot fill a history. */
const FREQUENT_REMINDERS = 14;
const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;

/** After the resolution: the post-mortem, until nothing is left to do, or until it turns out not to be over. */
export async function learn(incident: Incident, run: Run): Promise<void> {
  const { record } = incident;
  openPostmortem(incident, run);
  await run.announce(draftText(incident, run));
  let remindedAt = Date.now();
  while (isResolved(incident)) {
    const effect = incident.todo.shift();
    if (effect !== undefined) {
      await effect(run);
      continue;
    }
    if (alertChanged(incident, run)) {
      // Only a sender that had said `resolved` can take it back; others just repeat themselves.
      if (noteAlert(incident, run)) reopen(incident, run, 'the alert', 'its sender says that it fires again');
      continue;
    }
    const duties = openDuties(record, Date.now());
    if (duties.length === 0) return;
    run.summary(`resolved; ${countOf(duties.length, 'thing')} to do: ${duties[0]}`);
    const due = nextReminder(incident, remindedAt);
    const left = due - Date.now();
    if (left > 0) await rest(incident, run, left);
    else {
      remindedAt = Date.now();
      await remind(incident, run);
    }
  }
}

/** It is not over after all: everything counts anew, and somebody must acknowledge anew. */
export function reopen(incident: Incident, run: Run, by: string, reason: string): void {
  const { record, clocks } = incident;
  record.reopened.push({ by, at: now(), reason });
  delete record.resolved;
  delete record.mitigatedAt;
  delete record.acknowledged;
  const nowMs = Date.now();
  const beyond = { escalate: 0, acknowledge: 0 };
  Object.assign(clocks, { openedAt: nowMs, pagedAt: nowMs, escalatedAt: nowMs, rung: 0, beyond });
  run.note(`Reopened by ${by}`, reason);
  incident.todo.push(async () => {
    await page(incident, run, `open again, says ${by}: ${reason}`);
    await sendUpdate(incident, run, `reopened by ${by}: ${reason}`);
  });
}

function openPostmortem(incident: Incident, run: Run): void {
  const { record } = incident;
  const policy = policyOf(incident);
  const resolvedAt = Date.parse(record.resolved?.at ?? now());
  record.meeting ??= { dueAt: new Date(resolvedAt + policy.meetingMs).toISOString() };
  // A post-mortem of an incident that was reopened goes on.
  if (record.actions.length > 0) return;
  const due = new Date(resolvedAt + policy.actionDueMs).toISOString().slice(0, 10);
  record.actions = policy.standardActions.map((text, index) => ({
    id: `A${index + 1}`,
    text,
    owner: record.commander ?? '',
    due,
  }));
  run.note('Post-mortem draft', `${record.postmortem?.because}; runbooks report ${run.id} --html`);
}

function draftText({ record }: Incident, { id }: Run): string {
  return [
    `${record.worst}: ${record.title}: the post-mortem is drafted (${record.postmortem?.because}).`,
    `Read it: runbooks report ${id} --html --out postmortem.html`,
    `Meeting by ${utc(record.meeting?.dueAt ?? '')} UTC: runbooks incident meeting ${id} --at <time>`,
    `Still to do: ${openDuties(record, Date.now()).join('; ')}.`,
  ].join('\n');
}

function nextReminder(incident: Incident, remindedAt: number): number {
  const { record } = incident;
  const { reminderMs } = policyOf(incident);
  const every = record.reminders < FREQUENT_REMINDERS ? reminderMs : Math.max(reminderMs, WEEK_MS);
  const moments = [remindedAt + every];
  // Also when the meeting becomes overdue, and when it is held: it may be the last thing that was waited for.
  const { at, dueAt } = record.meeting ?? {};
  const meeting = Date.parse(at ?? dueAt ?? '');
  if (meeting >= remindedAt) moments.push(meeting + 1);
  return Math.min(...moments);
}

async function remind({ record }: Incident, run: Run): Promise<void> {
  const open = openDuties(record, Date.now());
  if (open.length === 0) return;
  record.reminders += 1;
  const sinceMs = Date.now() - Date.parse(record.resolved?.at ?? now());
  const since = sinceMs < 2 * DAY_MS ? duration(sinceMs) : `${Math.floor(sinceMs / DAY_MS)} days`;
  run.note(`Reminder ${record.reminders}`, open.join('; '));
  const lines = open.map((duty) => `- ${duty}`).join('\n');
  await run.announce(
    `${record.worst}: ${record.title}, resolved ${since} ago. Still to do:\n${lines}\nrunbooks report ${run.id}`,
  );
}
