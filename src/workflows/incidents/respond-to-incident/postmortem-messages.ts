import { type ActionItem, type IncidentRecord, actionText } from '../../../contract/incident';
import { type Message, now, type Run, utc, type Words } from '../../kit';
import { isResolved, type Incident } from './incident';
import { reopen } from './aftermath';

const MAX_ITEMS = 50;
const LISTS = ['contributing', 'worked', 'failed'] as const;
const TEXTS = ['impact', 'scope', 'rootCause'] as const;
const FIELDS = [...TEXTS, ...LISTS, 'mitigatedAt'];

/** What people add to the post-mortem, while the incident is open and afterwards. */
export function postmortemMessages(incident: Incident): Message[] {
  const { record } = incident;
  const learning = () => isResolved(incident) && record.postmortem !== undefined;
  return [
    {
      name: 'fact',
      what: `Write down a fact: ${FIELDS.join(', ')}`,
      fields: { field: 'rootCause', text: '<what is known>' },
      offered: () => true,
      refuse: (words) => refuseFact(record, words),
      take: (words, run) => takeFact(incident, run, words),
    },
    {
      name: 'action',
      what: 'Add an action item, or with "action" change one',
      fields: { text: '<what will be done>', owner: '<who>', due: dayAfter(7) },
      optional: ['action'],
      offered: learning,
      refuse: (words) => refuseAction(record, words),
      take: (words, run) => takeAction(incident, run, words),
    },
    {
      name: 'close-action',
      what: 'Say that an action item is done, or why it is not needed',
      fields: { action: 'A1' },
      optional: ['note'],
      offered: () => learning() && record.actions.some(({ closed }) => closed === undefined),
      refuse: ({ action = '' }) => refuseClose(record, action),
      take: (words, run) => closeAction(incident, run, words),
    },
    {
      name: 'meeting',
      what: 'Say when the post-mortem meeting is, or was',
      fields: { at: '<2026-01-31T14:00:00Z>' },
      offered: () => learning() && record.meeting?.at === undefined,
      refuse: ({ at = '' }) => (isTime(at) ? undefined : `"at" must be a time with its zone, e.g. ${now()}`),
      take: (words, run) => takeMeeting(incident, run, words),
    },
    {
      name: 'ask-postmortem',
      what: 'Ask for a post-mortem whatever the severity',
      fields: {},
      offered: () => !isResolved(incident) && !isDue(incident),
      refuse: () => (isDue(incident) ? 'there will be one already' : undefined),
      take: ({ by = '' }, run) => {
        record.postmortem = { because: `${by} asked for it` };
        run.note(`${by} asks for a post-mortem`);
        return 'there will be a post-mortem';
      },
    },
    {
      name: 'reopen',
      what: 'Say that it is not over after all',
      fields: { reason: '<why>' },
      offered: learning,
      refuse: () => (isResolved(incident) ? undefined : 'it is open'),
      take: ({ by = '', reason = '' }, run) => {
        reopen(incident, run, by, reason);
        return 'open again; somebody must acknowledge it anew';
      },
    },
  ];
}

function isDue({ record, policy }: Incident): boolean {
  return record.postmortem !== undefined || policy?.postmortemFor.includes(record.worst) === true;
}

function refuseFact(record: IncidentRecord, { field = '', text = '' }: Words): string | undefined {
  if (!FIELDS.includes(field)) return `"field" must be one of: ${FIELDS.join(', ')}`;
  if (field === 'mitigatedAt' && !isTime(text)) return `"text" must be a time with its zone, e.g. ${now()}`;
  const list = LISTS.find((name) => name === field);
  return list !== undefined && record[list].length >= MAX_ITEMS ? `${MAX_ITEMS} are enough` : undefined;
}

function takeFact({ record }: Incident, run: Run, { field = '', text = '', by = '' }: Words): string {
  const list = LISTS.find((name) => name === field);
  const single = TEXTS.find((name) => name === field);
  if (list !== undefined) record[list].push(text);
  else if (single !== undefined) record[single] = text;
  else record.mitigatedAt = new Date(Date.parse(text)).toISOString();
  run.note(`${by} writes down: ${field}`, text);
  return `${field} written down`;
}

function refuseAction(record: IncidentRecord, { action, due = '' }: Words): string | undefined {
  if (!isDay(due)) return `"due" must be a day, e.g. ${dayAfter(7)}`;
  if (due < now().slice(0, 10)) return `"due" is over: ${due}`;
  if (action === undefined) return record.actions.length >= MAX_ITEMS ? `${MAX_ITEMS} are enough` : undefined;
  return refuseClose(record, action);
}

function takeAction(
  { record }: Incident,
  run: Run,
  { action, text = '', owner = '', due = '', by = '' }: Words,
) {
  const known = find(record, action ?? '');
  const item: ActionItem = { ...(known ?? { id: `A${record.actions.length + 1}` }), text, owner, due };
  if (known === undefined) record.actions.push(item);
  else Object.assign(known, item);
  run.note(`${by} ${known === undefined ? 'adds' : 'changes'} an action item`, actionText(item));
  return actionText(item);
}

function refuseClose(record: IncidentRecord, id: string): string | undefined {
  const item = find(record, id);
  if (item === undefined)
    return `there is no action item ${id}; there are: ${record.actions.map((one) => one.id).join(', ') || 'none'}`;
  return item.closed && `${id} is closed already, by ${item.closed.by} at ${utc(item.closed.at)} UTC`;
}

function closeAction({ record }: Incident, run: Run, { action = '', by = '', note }: Words): string {
  const item = find(record, action) as ActionItem;
  item.closed = { by, at: now(), ...(note === undefined ? {} : { note }) };
  run.note(`${by} closes ${item.id}`, note === undefined ? item.text : `${item.text}: ${note}`);
  const left = record.actions.filter(({ closed }) => closed === undefined).length;
  return `${item.id} closed; ${left === 0 ? 'none is open' : `${left} still open`}`;
}

function takeMeeting({ record }: Incident, run: Run, { at = '', by = '' }: Words): string {
  const time = new Date(Date.parse(at)).toISOString();
  const late = record.meeting !== undefined && time > record.meeting.dueAt;
  record.meeting = { dueAt: time, ...record.meeting, at: time, by };
  const text = `${utc(time)} UTC${late ? `, later than due (${utc(record.meeting.dueAt)} UTC)` : ''}`;
  run.note(`Post-mortem meeting at ${text}`, `said by ${by}`);
  return `meeting at ${text}`;
}

function find(record: IncidentRecord, id: string): ActionItem | undefined {
  return record.actions.find((one) => one.id.toLowerCase() === id.trim().toLowerCase());
}

function isTime(text: string): boolean {
  return (
    /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text) &&
    !Number.isNaN(Date.parse(text))
  );
}

function isDay(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text) && new Date(Date.parse(text)).toJSON()?.slice(0, 10) === text;
}

function dayAfter(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}
