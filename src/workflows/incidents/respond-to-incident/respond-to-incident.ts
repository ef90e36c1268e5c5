import { CancellationScope } from '@temporalio/workflow';
import type { Alert } from '../../../contract/alert';
import type { MatchingRunbook } from '../../../activities/incidents/incident-activities';
import { durationsOf } from '../../../contract/incident';
import { causeOf, countOf, duration, messages, type Run, runbook } from '../../kit';
import type { Activities } from '../../../activities';
import { renderIncident } from './details';
import { learn } from './aftermath';
import { page } from './escalation';
import { wakeful } from './inbox';
import { createIncident, isResolved, policyOf, type Incident } from './incident';
import { lead } from './lead';
import { leadMessages } from './lead-messages';
import { postmortemMessages } from './postmortem-messages';
import type { respondToIncidentCard } from './card';
import { startRunbook } from './start-runbook';
import { assess, HEALTH, investigate } from './triage';
import { sendUpdate } from './updates';
import type { InputOf } from '../../../catalogue/card';
import type { Measurement } from '../../../activities/application/measure';

type Input = InputOf<typeof respondToIncidentCard>;

/** Leads an incident from the page to the last action item: people act, it remembers, reminds, measures and tells. */
export const respondToIncident = runbook<typeof respondToIncidentCard, Activities, Incident>(
  'respondToIncident',
  async (input, run, incident) => {
    try {
      await open(incident, run, input);
      const measured = await assess(incident, run, input);
      if (run.policy.mode === 'observe') {
        const match = await investigate(incident, run, input, measured);
        await run.gate(() => planOf(incident, run, match));
      }
      await leadToTheEnd(incident, run, input, measured);
    } finally {
      giveUp(incident);
    }
    return summaryOf(incident);
  },
  {
    inbox: messages(createIncident, (incident) =>
      wakeful(incident, [...leadMessages(incident), ...postmortemMessages(incident)]),
    ),
    show: ({ record }) => ({ details: () => [renderIncident(record)], fields: { incident: record } }),
    // Open for weeks until the last action item: it moves on to each new version, and its changes need `patched`.
    versioning: 'AUTO_UPGRADE',
  },
);

/** From the first page on people rely on it. */
async function leadToTheEnd(
  incident: Incident,
  run: Run,
  input: Input,
  measured: Measurement,
): Promise<void> {
  try {
    await page(incident, run, incident.record.severities[0]?.reason ?? 'an incident was opened');
    // Beside everything else: a slow tool must not keep an incident from being led.
    const investigation = investigateAndMend(incident, run, input, measured);
    await sendUpdate(incident, run, 'the incident is open');
    await untilDone(incident, run);
    await investigation;
    // A runbook that still waits for somebody would be cancelled with this run.
    await incident.child;
  } catch (error) {
    // Nobody may believe that it is still led.
    await CancellationScope.nonCancellable(() => sayAbandoned(incident, run));
    throw error;
  }
}

/** What is known from the input; then people can already answer. */
async function open(incident: Incident, run: Run, input: Input): Promise<void> {
  const { record } = incident;
  const { service, environment, alert } = input;
  incident.environment = environment;
  record.title = input.title ?? (alert?.title || 'Incident without a title');
  record.impact = input.impact ?? '';
  incident.heardNews = record.impact;
  record.scope = input.scope ?? '';
  record.startedAt = symptomBegan(alert, record.openedAt);
  incident.heardStart = alert?.startsAt ?? '';
  if (input.postmortem) record.postmortem = { because: 'asked for at the start' };
  incident.policy = await run.step('Read how incidents are led here', (act) =>
    act.readIncidentPolicy({ service, environment }),
  );
  const [commander] = policyOf(incident).commanders;
  if (commander !== undefined) record.commander = commander;
}

const MAX_BEFORE_MS = 7 * 86_400_000;

/** The sender's word about the beginning, unless its clock is wrong. */
function symptomBegan(alert: Alert | undefined, openedAt: string): string {
  const began = Date.parse(alert?.startsAt ?? '');
  const opened = Date.parse(openedAt);
  return began <= opened && began > opened - MAX_BEFORE_MS ? new Date(began).toISOString() : openedAt;
}

function planOf({ record }: Incident, run: Run, match: MatchingRunbook | null) {
  const { service } = run.policy;
  const target = `${service}: ${record.title}`;
  return {
    actions: [
      { action: `lead as ${record.severity}: page, status updates, escalation`, target },
      ...(match === null
        ? []
        : [{ action: `start ${match.runbook}`, target: service, detail: match.because }]),
    ],
  };
}

/** Gathers the facts and starts the runbook that belongs to them. Never rejects: its steps tell what went wrong. */
async function investigateAndMend(
  incident: Incident,
  run: Run,
  input: Input,
  measured: Measurement,
): Promise<void> {
  try {
    const match = await investigate(incident, run, input, measured);
    run.movement('act');
    if (match !== null && !isResolved(incident)) startRunbook(incident, run, input, match);
    // What was measured stood in the first update already.
    const news = incident.record.findings.some(({ name, ok }) => !ok && !name.startsWith(HEALTH));
    if (match !== null || news) incident.todo.push(() => sendUpdate(incident, run, 'triage is done'));
  } catch (error) {
    run.note('Triage was not finished', causeOf(error).message);
  }
}

/** Resolved, and nothing left to learn; an incident that fires again goes round once more. */
async function untilDone(incident: Incident, run: Run): Promise<void> {
  const { record } = incident;
  do {
    await lead(incident, run);
    if (policyOf(incident).postmortemFor.includes(record.worst))
      record.postmortem ??= { because: `required for ${record.worst}` };
    if (record.postmortem !== undefined) await learn(incident, run);
  } while (!isResolved(incident));
}

async function sayAbandoned({ record }: Incident, run: Run): Promise<void> {
  if (record.resolved !== undefined && record.postmortem === undefined) return;
  const what =
    record.resolved === undefined ? 'Nobody leads it any longer' : 'Nobody reminds of it any longer';
  await run.announce(`${record.severity}: ${record.title}\nThe run ${run.id} was ended. ${what}.`);
}

/** Whoever still waits for an answer gets one. */
function giveUp(incident: Incident): void {
  const { request } = incident;
  incident.ended = true;
  if (request !== undefined) request.verdict ??= { ok: false, text: 'the run has ended' };
}

function summaryOf({ record }: Incident): string {
  const { resolveMs = 0 } = durationsOf(record);
  const by = record.resolved?.by ?? 'nobody';
  const actions =
    record.actions.length === 0 ? '' : `; ${countOf(record.actions.length, 'action item')} closed`;
  return `${record.worst} resolved after ${duration(resolveMs)} by ${by}: ${record.resolved?.note}${actions}`;
}
