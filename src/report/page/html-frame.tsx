import { utc } from '../../contract/text';
import type { RunHistory } from '../../contract/run-history';
import { MOVEMENTS, TimelineSvg } from './timeline-svg';
import type { RunReport, Waiting } from '../../contract/report';

export function Wait({ waiting }: { waiting: Waiting }) {
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

export function Picture({
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
export function Coded({ text }: { text: string }) {
  return (
    <>{text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>
  );
}

export function Foot({
  report,
  history,
  now,
}: {
  report: RunReport;
  history: RunHistory | undefined;
  now: Date;
}) {
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
