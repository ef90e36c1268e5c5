import { condition } from '@temporalio/workflow';
import type { Deed } from '../../../contract/incident';
import { duration, now, refused, type Message, type Run, utc, type Words } from '../../kit';
import { page } from './escalation';
import { isResolved, policyOf, setSeverity, type Incident, type ResolveRequest } from './incident';
import { sameName } from './inbox';
import { answerRequest } from './resolution';
import { isWorse, severityOf } from './severity';
import { sendUpdate } from './updates';

/** What people say while the incident is open. */
export function leadMessages(incident: Incident): Message[] {
  const open = () => !isResolved(incident);
  const { record } = incident;
  const whileOpen = (refuse: (words: Words) => string | undefined) => (words: Words) =>
    open() ? refuse(words) : `it is resolved since ${utc(record.resolved?.at ?? '')} UTC`;
  return [
    {
      name: 'acknowledge',
      what: 'Say that you look after it',
      fields: {},
      offered: () => open() && record.acknowledged === undefined,
      refuse: whileOpen(() => alreadyAcknowledged(record.acknowledged)),
      take: ({ by = '' }, run) => acknowledge(incident, run, by),
    },
    {
      name: 'command',
      what: 'Take command',
      fields: {},
      offered: open,
      refuse: whileOpen(({ by = '' }) => refuseCommander(incident, by)),
      take: ({ by = '' }, run) => takeCommand(incident, run, by),
    },
    {
      name: 'severity',
      what: 'Change the severity',
      fields: { severity: 'P0', reason: '<why>' },
      offered: open,
      refuse: whileOpen(({ severity = '' }) => refuseSeverity(incident, severity)),
      take: ({ severity = '', by = '', reason = '' }, run) =>
        changeSeverity(incident, run, { word: severity, by, reason }),
    },
    {
      name: 'update',
      what: 'Tell everybody what is being done',
      fields: { text: '<what is being done>' },
      offered: open,
      refuse: whileOpen(() => undefined),
      take: ({ text = '', by = '' }) => {
        record.update = { text, by, at: now() };
        incident.todo.push((run) => sendUpdate(incident, run, `by ${by}`));
        return 'taken; the next update counts from now';
      },
    },
    {
      name: 'resolve',
      what: 'Say that it is over: it is looked whether that holds',
      fields: { note: '<what ended it>' },
      optional: ['rootCause', 'override'],
      offered: open,
      refuse: whileOpen((words) => refuseResolve(incident, words)),
      take: (words) => askToResolve(incident, words),
    },
  ];
}

function alreadyAcknowledged(deed: Deed | undefined): string | undefined {
  return deed && `already acknowledged by ${deed.by} at ${utc(deed.at)} UTC`;
}

function acknowledge(incident: Incident, run: Run, by: string): string {
  const { record, clocks } = incident;
  record.acknowledged = { by, at: now() };
  record.firstAcknowledgedAt ??= record.acknowledged.at;
  // Somebody has to lead, and this is somebody.
  record.commander ??= by;
  const after = duration(Date.now() - clocks.openedAt);
  run.note(`Acknowledged by ${by}`, `after ${after}; commander: ${record.commander}`);
  const text = `${record.title}: acknowledged by ${by} after ${after}. Commander: ${record.commander}.`;
  incident.todo.push(() => run.acknowledgePage(text));
  return `acknowledged by ${by}; commander: ${record.commander}`;
}

function refuseCommander(incident: Incident, by: string): string | undefined {
  const { commanders } = policyOf(incident);
  if (incident.record.commander !== undefined && sameName(incident.record.commander, by))
    return `${by} already commands`;
  if (commanders.length === 0 || commanders.some((one) => sameName(one, by))) return undefined;
  return `${by} is not among those who may lead an incident: ${commanders.join(', ')}`;
}

function takeCommand(incident: Incident, run: Run, by: string): string {
  const { record } = incident;
  const from = record.commander === undefined ? '' : ` from ${record.commander}`;
  record.commander = by;
  run.note(`${by} takes command`, from === '' ? undefined : from.trim());
  // Whoever leads has seen it.
  if (record.acknowledged === undefined) acknowledge(incident, run, by);
  incident.todo.push(async () => void (await run.announce(`${record.title}: ${by} takes command${from}.`)));
  return `${by} commands`;
}

function refuseSeverity(incident: Incident, word: string): string | undefined {
  const policy = policyOf(incident);
  const severity = severityOf(policy, word);
  if (severity === undefined)
    return `"${word}" is no word of the scale of this service: ${Object.keys(policy.severities).join(', ')}`;
  return severity === incident.record.severity ? `it is ${severity} already` : undefined;
}

function changeSeverity(
  incident: Incident,
  run: Run,
  { word, by, reason }: { word: string; by: string; reason: string },
): string {
  const { record } = incident;
  const before = record.severity;
  const severity = severityOf(policyOf(incident), word) ?? before;
  setSeverity(incident, severity, by, reason);
  run.note(`Severity ${before} becomes ${severity}`, `${by}: ${reason}`);
  const why = `${by} changed the severity from ${before} to ${severity}: ${reason}`;
  incident.todo.push(async () => {
    if (isWorse(severity, before)) await page(incident, run, why);
    await sendUpdate(incident, run, why);
  });
  return `severity ${severity}; its clocks count from now on`;
}

function refuseResolve(incident: Incident, { by = '', override }: Words): string | undefined {
  if (incident.ended) return 'the run has ended';
  if (incident.request !== undefined && incident.request.verdict === undefined)
    return `${incident.request.by} said so just now, and it is being looked into`;
  if (override === undefined) return undefined;
  const { commander } = incident.record;
  if (override.trim() === '' || /^<.*>$/.test(override)) return '"override" needs a reason';
  if (commander === undefined) return 'nobody commands, so nobody can override; send "command" first';
  return sameName(commander, by)
    ? undefined
    : `only the commander (${commander}) can override what was measured`;
}

/** The answer comes once the run has looked. */
async function askToResolve(incident: Incident, words: Words): Promise<string> {
  const { by = '', note = '', rootCause, override } = words;
  const request: ResolveRequest = {
    by,
    note,
    ...(rootCause === undefined ? {} : { rootCause }),
    ...(override === undefined ? {} : { override }),
  };
  incident.request = request;
  incident.todo.push((run) => answerRequest(incident, run, request));
  await condition(() => request.verdict !== undefined);
  if (request.verdict?.ok !== true) throw refused(request.verdict?.text ?? 'the run has ended');
  return request.verdict.text;
}
