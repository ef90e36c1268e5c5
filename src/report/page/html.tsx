import { printable } from '../../contract/printable';
import { createHash } from 'node:crypto';
import { render } from 'preact-render-to-string';
import { duration, utc } from '../../contract/text';
import { Coded, Foot, Picture, Wait } from './html-frame';
import { Approvals, Changes, Facts, Messages, PlanTable, TimelineTable } from './html-parts';
import { STYLE } from './html-style';
import { meaningOf, nextSteps } from '../text/outcomes';
import { ledIncident, standingOf } from '../text/postmortem';
import { PostmortemPage } from './postmortem-html';
import type { HistoryReport, RunHistory } from '../../contract/run-history';
import type { RunReport, RunStatus } from '../../contract/report';

type Shown = RunReport & Partial<Pick<HistoryReport, 'history' | 'children'> & Pick<RunStatus, 'waiting'>>;

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
  const incident = ledIncident(report);
  const word = incident === undefined ? (report.outcome ?? 'RUNNING') : standingOf(report, incident).word;
  const about = incident?.title ?? report.title;
  const page = (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content={policy} />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="no-referrer" />
        <title>{`${word}: ${about}${report.service === '' ? '' : ` (${report.service})`}`}</title>
        <style dangerouslySetInnerHTML={{ __html: STYLE }} />
      </head>
      <body>
        {incident === undefined ? (
          <RunPage report={report} history={history} now={now} />
        ) : (
          <PostmortemPage report={report} incident={incident} history={history} now={now} />
        )}
      </body>
    </html>
  );
  return printable(`<!doctype html>\n${render(page)}\n`);
}

function RunPage({ report, history, now }: { report: Shown; history: RunHistory | undefined; now: Date }) {
  return (
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
      <Changes report={report} />
      <Facts facts={report.facts} />
      <PlanTable plan={report.plan} />
      <Approvals report={report} />
      <TimelineTable report={report} history={history} />
      <Messages history={history} />
      <Foot report={report} history={history} now={now} />
    </main>
  );
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
