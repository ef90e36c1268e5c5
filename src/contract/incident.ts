import type { Severity } from './modes';
import type { Check } from './place';
/** What an incident knows about itself: part of its run's report, and what its post-mortem is made of. ISO times in UTC. */

/** Something said or done by a person. */
export interface Deed {
  by: string;
  at: string;
}

export interface ActionItem {
  /** A1, A2 ... */
  id: string;
  text: string;
  /** Empty while nobody owns it. */
  owner: string;
  /** Day, `YYYY-MM-DD`. */
  due: string;
  closed?: Deed & { note?: string };
}

export interface SeverityChange extends Deed {
  severity: Severity;
  reason: string;
}

/** The runbook that the incident started. */
export interface StartedRunbook {
  runbook: string;
  workflowId: string;
  startedAt: string;
  endedAt?: string;
  /** Absent while it runs. */
  outcome?: string;
  summary?: string;
}

export interface Resolution extends Deed {
  note: string;
  /** What the verification showed. */
  proof: string;
  /** The commander's reason to close it although the verification did not hold. */
  override?: string;
}

export interface StatusUpdate extends Deed {
  text: string;
}

export interface IncidentRecord {
  title: string;
  severity: Severity;
  /** The worst it ever was: decides whether a post-mortem is due. */
  worst: Severity;
  severities: SeverityChange[];
  /** When the symptom began, as far as the sender of the alert knows. */
  startedAt: string;
  /** When the run began to lead it. */
  openedAt: string;
  impact: string;
  scope: string;
  commander?: string;
  /** Absent again once it was reopened: somebody must look anew. */
  acknowledged?: Deed;
  /** ISO time of the first acknowledgement. */
  firstAcknowledgedAt?: string;
  /** Since when the measurements have held without a break. */
  mitigatedAt?: string;
  resolved?: Resolution;
  reopened: (Deed & { reason: string })[];
  /** The newest. */
  update?: StatusUpdate;
  updates: number;
  nextUpdateAt?: string;
  /** Highest rung of the ladder that was paged, and how often people were paged. */
  pages: number;
  escalations: string[];
  /** The lines of triage. */
  findings: Check[];
  /** What was measured last, one line. */
  measured: string;
  runbook?: StartedRunbook;
  rootCause?: string;
  contributing: string[];
  worked: string[];
  failed: string[];
  /** Whether a post-mortem is due, and why. */
  postmortem?: { because: string };
  meeting?: { dueAt: string; at?: string; by?: string };
  actions: ActionItem[];
  reminders: number;
}

export interface Durations {
  /** From the symptom until somebody was told. */
  detectMs: number;
  acknowledgeMs?: number;
  mitigateMs?: number;
  resolveMs?: number;
}

/** How long it took, counted from the symptom. What has not happened yet is absent. */
export function durationsOf(incident: IncidentRecord): Durations {
  const since = (iso: string | undefined) =>
    iso === undefined ? undefined : Math.max(0, Date.parse(iso) - Date.parse(incident.startedAt));
  return {
    detectMs: since(incident.openedAt) ?? 0,
    ...defined({
      acknowledgeMs: since(incident.firstAcknowledgedAt),
      mitigateMs: since(incident.mitigatedAt ?? incident.resolved?.at),
      resolveMs: since(incident.resolved?.at),
    }),
  };
}

const LATE = 'OVERDUE: ';

/** What is still to be done before a resolved incident is finished, late things first; empty when nothing is. */
export function openDuties(incident: IncidentRecord, nowMs: number): string[] {
  if (incident.resolved === undefined || incident.postmortem === undefined) return [];
  const duties: string[] = [];
  if (incident.rootCause === undefined) duties.push('the root cause is not written down');
  const { meeting } = incident;
  if (meeting !== undefined && meeting.at === undefined) {
    const late = Date.parse(meeting.dueAt) < nowMs ? LATE : '';
    duties.push(`${late}the post-mortem meeting is not scheduled; due by ${minute(meeting.dueAt)} UTC`);
  } else if (meeting?.at !== undefined && Date.parse(meeting.at) > nowMs) {
    duties.push(`the post-mortem meeting is at ${minute(meeting.at)} UTC`);
  }
  for (const action of incident.actions.filter(({ closed }) => closed === undefined))
    duties.push(`${overdue(action, nowMs) ? LATE : ''}${actionText(action)}`);
  return [
    ...duties.filter((duty) => duty.startsWith(LATE)),
    ...duties.filter((duty) => !duty.startsWith(LATE)),
  ];
}

export function actionText({ id, text, owner, due }: ActionItem): string {
  return `${id} ${text} (${owner === '' ? 'nobody owns it' : owner}, due ${due})`;
}

/** A day is over when it has ended everywhere that counts here: in UTC. */
export function overdue({ due, closed }: ActionItem, nowMs: number): boolean {
  return closed === undefined && Date.parse(`${due}T23:59:59.999Z`) < nowMs;
}

function minute(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}

function defined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Partial<T>;
}
