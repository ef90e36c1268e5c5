import { duration, utc } from '../../contract/text';
import { changesTitle, changeText } from '../text/changes';
import { readableFact } from '../text/facts';
import { proofText, senderText } from '../text/proof';
import { retriesOf, type RunHistory } from '../../contract/run-history';
import type { Plan, RunReport, TimelineEntry } from '../../contract/report';

const RESULTS: Record<TimelineEntry['status'], string> = {
  running: '▶ running',
  done: '✔ done',
  failed: '✖ failed',
  waiting: '⏸ waiting',
  note: '◆ note',
};

export function Facts({ facts }: { facts: RunReport['facts'] }) {
  const readable = Object.entries(facts).map(([name, value]) => readableFact(name, value));
  if (readable.length === 0) return null;
  return (
    <section>
      <h2>Measured</h2>
      <div class="facts">
        {readable.map(({ label, value }) => (
          <div key={label}>
            <span>{label}</span>
            <b>{value}</b>
          </div>
        ))}
      </div>
    </section>
  );
}

export function Changes({ report: { changes = [], outcome } }: { report: RunReport }) {
  if (changes.length === 0) return null;
  return (
    <section>
      <h2>{changesTitle(outcome)}</h2>
      <ul>
        {changes.map((change) => (
          <li key={`${change.at} ${change.step} ${change.what}`}>
            {changeText(change)} ({change.kind}, {utc(change.at)} UTC)
          </li>
        ))}
      </ul>
    </section>
  );
}

export function PlanTable({ plan }: { plan: Plan | undefined }) {
  if (plan === undefined) return null;
  return (
    <section>
      <h2>
        Plan <code>{plan.hash}</code>
      </h2>
      <PlainTable head={['#', 'action', 'target', 'count', 'detail']} tight={[0, 3]}>
        {plan.actions.map(({ action, target, count, detail }, index) => ({
          cells: [String(index + 1), action, target, count === undefined ? '' : String(count), detail ?? ''],
        }))}
      </PlainTable>
      {plan.warnings.length > 0 && (
        <ul class="warnings">
          {plan.warnings.map((warning) => (
            <li key={warning}>{`⚠ ${warning}`}</li>
          ))}
        </ul>
      )}
    </section>
  );
}

export function Approvals({ report: { approvals, mode } }: { report: RunReport }) {
  return (
    <section>
      <h2>Approvals</h2>
      {approvals.length === 0 ? (
        <p class="soft">{mode === 'auto' ? 'None: mode auto goes on without.' : 'None was given.'}</p>
      ) : (
        <PlainTable head={['UTC', 'by', 'proof', 'plan', 'note']} tight={[0, 3]}>
          {approvals.map((one) => ({
            cells: [utc(one.at), one.by, proofText(one), one.plan, one.note ?? ''],
          }))}
        </PlainTable>
      )}
    </section>
  );
}

export function TimelineTable({ report, history }: { report: RunReport; history: RunHistory | undefined }) {
  return (
    <section>
      <h2>Every step</h2>
      <PlainTable head={['UTC', 'movement', 'step', 'result', 'took', 'detail']} tight={[0, 1, 3, 4]}>
        {report.timeline.map((entry) => ({
          class: entry.status === 'failed' ? 'failed' : entry.movement === 'undo' ? 'undo' : entry.status,
          cells: [
            utc(entry.startedAt),
            entry.movement,
            entry.title,
            RESULTS[entry.status],
            tookOf(entry),
            detailOf(entry, history),
          ],
        }))}
      </PlainTable>
    </section>
  );
}

export function Messages({ history }: { history: RunHistory | undefined }) {
  if (history === undefined || history.messages.length === 0) return null;
  return (
    <section>
      <h2>Messages from outside</h2>
      <PlainTable head={['UTC', 'message', 'by', 'argument', 'answer']} tight={[0, 1]}>
        {history.messages.map((one) => ({
          cells: [utc(one.at), `${one.kind} ${one.name}`, senderText(one), one.argument, one.answer ?? ''],
        }))}
      </PlainTable>
    </section>
  );
}

function tookOf({ status, startedAt, endedAt }: TimelineEntry): string {
  if (endedAt === undefined || status === 'note') return '';
  return duration(Math.max(0, Date.parse(endedAt) - Date.parse(startedAt)));
}

function detailOf(entry: TimelineEntry, history: RunHistory | undefined): string {
  return [entry.detail ?? '', ...retriesOf(entry, history)].filter((part) => part !== '').join('; ');
}

interface TableRow {
  class?: string;
  cells: string[];
}

/** A table of texts; columns in `tight` do not wrap. */
export function PlainTable({
  head,
  tight,
  children,
}: {
  head: string[];
  tight: number[];
  children: TableRow[];
}) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {children.map((row, index) => (
            <tr key={index} class={row.class}>
              {row.cells.map((cell, column) => (
                <td key={column} class={cellClass(head[column], cell, tight.includes(column))}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function cellClass(head: string | undefined, cell: string, tight: boolean): string {
  const classes = [
    tight ? 'tight' : '',
    head === 'movement' ? `tag text-${cell}` : '',
    head === 'result' ? 'result' : '',
  ];
  return classes.filter((name) => name !== '').join(' ');
}
