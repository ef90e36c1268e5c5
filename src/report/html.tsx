import { createHash } from 'node:crypto';
import { render } from 'preact-render-to-string';
import { duration, utc } from '../workflows/kit/format';
import { Approvals, Facts, Messages, PlanTable, TimelineTable } from './html-parts';
import { STYLE } from './html-style';
import { meaningOf, nextSteps } from './outcomes';
import type { HistoryReport, RunHistory } from './run-history';
import { MOVEMENTS, TimelineSvg } from './timeline-svg';
import type { RunReport, RunStatus, Waiting } from './types';

type Shown = RunReport & Partial<Pick<HistoryReport, 'history'> & Pick<RunStatus, 'waiting'>>;

/**
 * A run's report as one self-contained HTML page: no script, no request, readable in light, dark and on paper.
 * `history` adds attempts and messages. `now` is the right edge of the picture of a run that has not ended.
 */
export function renderHtml(
  report: Shown,
  history: RunHistory | undefined = report.history,
  now = new Date(),
): string {
  // The one style sheet is named by its hash: whatever else may get into the page is refused by the browser.
  const styleHash = createHash('sha256').update(STYLE).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'`;
  const outcome = report.outcome ?? 'RUNNING';
  const page = (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content={policy} />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="no-referrer" />
        <title>{`${outcome}: ${report.title}${report.service === '' ? '' : ` (${report.service})`}`}</title>
        <style dangerouslySetInnerHTML={{ __html: STYLE }} />
      </head>
      <body>
        <main class={`tone-${meaningOf(report).tone}`}>
          <Head report={report} />
          {(report.waiting ?? []).map((waiting) => (
            <Wait key={waiting.id} waiting={waiting} />
          ))}
          <section>
            <h2>What to do next</h2>
            <ol class="next">
              {nextSteps(report).map((step) => (
                <li key={step}>
                  <Coded text={step} />
                </li>
              ))}
            </ol>
          </section>
          <Picture report={report} history={history} now={now.getTime()} />
          <Facts facts={report.facts} />
          <PlanTable plan={report.plan} />
          <Approvals report={report} />
          <TimelineTable report={report} history={history} />
          <Messages history={history} />
          <Foot report={report} history={history} now={now} />
        </main>
      </body>
    </html>
  );
  return `<!doctype html>\n${render(page)}\n`;
}

function Head({ report }: { report: Shown }) {
  const { title, service, outcome, summary, startedAt, endedAt } = report;
  const facts: [string, string][] = [
    ['Started (UTC)', utc(startedAt)],
    ['Ended (UTC)', endedAt === undefined ? 'not yet' : utc(endedAt)],
    [
      'Took',
      endedAt === undefined ? '–' : duration(Math.max(0, Date.parse(endedAt) - Date.parse(startedAt))),
    ],
    ['Mode', report.mode],
    ['Started by', report.startedBy || 'unknown'],
    ['Plan', report.plan?.hash ?? 'none'],
  ];
  return (
    <header>
      <h1>{title}</h1>
      <p class="soft">
        {service === '' ? '' : `${service} · `}
        {report.runbook}
      </p>
      <p>
        <span class="badge">{outcome ?? 'RUNNING'}</span>
        <span class="meaning">{meaningOf(report).words}</span>
      </p>
      <p class="summary">{summary}</p>
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

function Wait({ waiting }: { waiting: Waiting }) {
  return (
    <section class="waits">
      <h2>{`Waits for a person: ${waiting.kind}`}</h2>
      <p class="summary">{waiting.question}</p>
      {waiting.choices !== undefined && <p>{`Choices: ${waiting.choices.join(', ')}`}</p>}
      <p>{`Until ${utc(waiting.expiresAt)} UTC. Update "${waiting.update.name}" with:`}</p>
      <pre>{JSON.stringify(waiting.update.argument)}</pre>
    </section>
  );
}

function Picture({
  report,
  history,
  now,
}: {
  report: RunReport;
  history: RunHistory | undefined;
  now: number;
}) {
  if (report.timeline.length === 0) return null;
  const used = MOVEMENTS.filter((movement) => report.timeline.some((entry) => entry.movement === movement));
  return (
    <section>
      <h2>Timeline</h2>
      <p class="legend">
        {used.map((movement) => (
          <span key={movement}>
            <svg viewBox="0 0 18 12" aria-hidden="true">
              <rect class={`fill-${movement}`} width="18" height="12" rx="2" />
            </svg>
            {movement}
          </span>
        ))}
        <span>
          <svg viewBox="0 0 18 12" aria-hidden="true">
            <rect class="bar-wait" x="1" y="1" width="16" height="10" rx="2" fill="url(#hatch)" />
          </svg>
          waiting
        </span>
        <span>✖ failed</span>
        <span>◆ note</span>
        <span>≈ shortened wait</span>
      </p>
      <div class="scroll">
        <TimelineSvg report={report} now={now} {...(history === undefined ? {} : { history })} />
      </div>
    </section>
  );
}

/** Text with `code` in backquotes. */
function Coded({ text }: { text: string }) {
  return (
    <>{text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>
  );
}

function Foot({ report, history, now }: { report: RunReport; history: RunHistory | undefined; now: Date }) {
  return (
    <footer>
      <p class="mono">
        {`workflow ${report.workflowId} · run ${report.runId}`}
        {history === undefined
          ? ''
          : ` · ${history.events} events · task queue ${history.taskQueue} · ${history.status}`}
      </p>
      <p>{`Made ${utc(now.toISOString())} UTC by durable-runbooks. All times are UTC.`}</p>
    </footer>
  );
}
