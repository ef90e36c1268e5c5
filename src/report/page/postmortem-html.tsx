import { utc } from '../../contract/text';
import { Coded, Foot, Picture } from './html-frame';
import { Messages, PlainTable, TimelineTable } from './html-parts';
import { overdue, type IncidentRecord } from '../../contract/incident';
import { clockRows, lessonsOf, nextOf, standingOf } from '../text/postmortem';
import { pictureOf } from './postmortem-picture';
import type { HistoryReport, RunHistory } from '../../contract/run-history';
import type { RunReport } from '../../contract/report';

type Shown = RunReport & Partial<Pick<HistoryReport, 'children'>>;

interface Page {
  report: Shown;
  incident: IncidentRecord;
  history: RunHistory | undefined;
  now: Date;
}

/** The post-mortem of an incident: how it stands and how long it took on top, every step at the end. */
export function PostmortemPage({ report, incident, history, now }: Page) {
  const { contributing, worked, failed } = lessonsOf(report, incident);
  const children = report.children ?? [];
  return (
    <main class={`tone-${standingOf(report, incident).tone}`}>
      <Head report={report} incident={incident} />
      <section>
        <h2>What to do next</h2>
        <ol class="next">
          {nextOf(report, incident, now.getTime()).map((step) => (
            <li key={step}>
              <Coded text={step} />
            </li>
          ))}
        </ol>
      </section>
      <Clocks incident={incident} />
      <section>
        <h2>Impact and cause</h2>
        <dl class="told">
          <Told name="Impact" text={incident.impact} />
          <Told name="Scope" text={incident.scope} />
          <Told name="Root cause" text={incident.rootCause ?? ''} />
        </dl>
      </section>
      <Picture report={pictureOf(report, incident, children)} history={history} now={now.getTime()} />
      <section>
        <h2>What was learned</h2>
        <div class="lessons">
          <Lessons title="Contributing factors" items={contributing} />
          <Lessons title="What worked" items={worked} />
          <Lessons title="What failed" items={failed} />
        </div>
      </section>
      <Actions incident={incident} now={now.getTime()} />
      <Severities incident={incident} />
      {children.map((child) => (
        <Child key={child.workflowId} child={child} />
      ))}
      <TimelineTable report={report} history={history} />
      <Messages history={history} />
      <Foot report={report} history={history} now={now} />
    </main>
  );
}

function Head({ report, incident }: { report: RunReport; incident: IncidentRecord }) {
  const { word, words } = standingOf(report, incident);
  const { resolved } = incident;
  const facts: [string, string][] = [
    ['Service', report.service],
    ['Began (UTC)', utc(incident.startedAt)],
    ['Resolved (UTC)', resolved === undefined ? 'not yet' : utc(resolved.at)],
    ['Commander', incident.commander ?? 'nobody'],
    [
      'Severity',
      incident.severity === incident.worst ? incident.worst : `${incident.worst}, now ${incident.severity}`,
    ],
    [
      'Post-mortem',
      incident.postmortem?.because ?? (resolved === undefined ? 'once it is over' : 'not asked for'),
    ],
  ];
  return (
    <header>
      <h1>
        <span class={`severity severity-${incident.worst}`}>{incident.worst}</span>
        {incident.title}
      </h1>
      <p>
        <span class="badge">{word}</span>
        <span class="meaning">{words}</span>
      </p>
      {resolved !== undefined && <p class="summary">{`${resolved.note} (${resolved.by})`}</p>}
      {resolved?.override !== undefined && (
        <ul class="warnings">
          <li>{`⚠ Closed without proof (${resolved.proof}): ${resolved.override}`}</li>
        </ul>
      )}
      {resolved !== undefined && resolved.override === undefined && (
        <p class="soft">{`Verified: ${resolved.proof}`}</p>
      )}
      <dl>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </header>
  );
}

function Clocks({ incident }: { incident: IncidentRecord }) {
  const counts = [
    { label: 'Pages', took: String(incident.pages), at: `${incident.escalations.length} up the ladder` },
    { label: 'Status updates', took: String(incident.updates), at: '' },
  ];
  return (
    <section>
      <h2>How long it took</h2>
      <div class="facts">
        {[...clockRows(incident), ...counts].map(({ label, took, at }) => (
          <div key={label}>
            <span>{label}</span>
            <b>{took}</b>
            <span>{at}</span>
          </div>
        ))}
      </div>
    </section>
  );
}

function Told({ name, text }: { name: string; text: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={text === '' ? 'missing' : ''}>{text === '' ? 'Not written down yet' : text}</dd>
    </div>
  );
}

function Lessons({ title, items }: { title: string; items: string[] }) {
  return (
    <div>
      <h3>{title}</h3>
      {items.length === 0 ? (
        <p class="missing">Nothing written down yet</p>
      ) : (
        <ul>
          {items.map((item) => (
            <li key={item}>{item}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Actions({ incident, now }: { incident: IncidentRecord; now: number }) {
  const { actions, meeting, postmortem } = incident;
  if (postmortem === undefined) return null;
  return (
    <section>
      <h2>Action items</h2>
      {meeting !== undefined && (
        <p>
          {meeting.at === undefined
            ? `Meeting: not scheduled; due by ${utc(meeting.dueAt)} UTC`
            : `Meeting: ${utc(meeting.at)} UTC`}
        </p>
      )}
      <PlainTable head={['#', 'action', 'owner', 'due', 'result']} tight={[0, 3]}>
        {actions.map((action) => ({
          class: overdue(action, now) ? 'failed' : action.closed === undefined ? 'running' : 'done',
          cells: [action.id, action.text, action.owner || 'nobody', action.due, actionState(action, now)],
        }))}
      </PlainTable>
    </section>
  );
}

function actionState(action: IncidentRecord['actions'][number], now: number): string {
  const { closed } = action;
  if (closed === undefined) return overdue(action, now) ? '✖ overdue' : '▶ open';
  return `✔ closed by ${closed.by}, ${utc(closed.at)}${closed.note === undefined ? '' : `: ${closed.note}`}`;
}

function Severities({ incident }: { incident: IncidentRecord }) {
  return (
    <section>
      <h2>Severity</h2>
      <PlainTable head={['UTC', 'severity', 'by', 'because']} tight={[0, 1, 2]}>
        {incident.severities.map(({ at, severity, by, reason }) => ({
          cells: [utc(at), severity, by, reason],
        }))}
      </PlainTable>
    </section>
  );
}

function Child({ child }: { child: HistoryReport }) {
  return (
    <section>
      <h2>{`Runbook ${child.runbook}: ${child.outcome ?? 'running'}`}</h2>
      <p>{child.summary}</p>
      <p class="soft mono">{`runbooks report ${child.workflowId}`}</p>
    </section>
  );
}
