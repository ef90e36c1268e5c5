import type { ChecklistScope } from '../../../activities/application/checklist';
import type { LogGroup, LogReview } from '../../../activities/observe/logs';
import type { ChecklistItem, Counters } from '../../../contract/checklist';
import type { Place } from '../../../contract/place';
import { countOf, type Run } from '../../kit';
import { colorOf, notConfigured, type Item, type Seen } from './item';

/** Errors with their stack traces, and what is looked for in warnings. The log is read once for all of them. */
export function logItems(
  place: Place,
  { logs, limits }: ChecklistScope,
  since: string,
  counters: Counters,
): (Item | ChecklistItem)[] {
  const what = `environments.${place.environment}.observe.logs`;
  if (logs === null) return [notConfigured('logs', what)];
  const limitMs = Math.max(limits.itemSeconds * 1_000, logs.permittedMs);
  let reading: Promise<LogReview> | undefined;
  const readAll = async (run: Run): Promise<LogReview> => {
    const found = await run.step('Logs', (act) => act.readLogs({ ...place, since }), {
      kind: 'long',
      undo: 'read-only',
      describe: ({ errors, warnings }) => `${countOf(errors, 'error')}, ${countOf(warnings, 'warning')}`,
    });
    counters.logs = counters.at;
    return found;
  };
  const read = (run: Run): Promise<LogReview> => (reading ??= readAll(run));
  const item = (name: string, warning: number, next: string, seen: (found: LogReview) => Seen): Item => ({
    name,
    objective: `at most ${warning} since ${since.slice(0, 16).replace('T', ' ')} UTC`,
    next,
    limitMs,
    read: async (run) => {
      const found = await read(run);
      const { color, figure } = seen(found);
      // Nobody knows what is in the rest.
      if (color !== 'green' || !found.cut) return { color, figure };
      return { color: 'yellow', figure, next: `have the command of ${what} print warnings and errors only` };
    },
  });
  return [
    item('errors in the log', logs.errors.warning, 'resolveHighErrorRate', (found) => ({
      color: colorOf(found.errors, logs.errors),
      figure: [`${countOf(found.errors, 'error')}${cutOf(found)}`, ...found.topErrors.map(describe)].join(
        '; ',
      ),
    })),
    ...logs.watch.map(({ name, warning, critical }, index) =>
      item(name, warning, nextOf(name), (found) => {
        const { count, top } = found.watched[index] ?? { count: 0, top: null };
        const figure = `${count} in the log${cutOf(found)}${top === null ? '' : `; mostly ${describe(top)}`}`;
        return { color: colorOf(count, { warning, critical }), figure };
      }),
    ),
    ...(logs.watch.length === 0 ? [notConfigured('repeated warnings', `${what}.watch`)] : []),
  ];
}

function cutOf({ cut }: LogReview): string {
  return cut ? ', in the end of a log that is too long to be read whole' : '';
}

function describe({ count, message, stack }: LogGroup): string {
  return `${count} x ${message}${stack === '' ? '' : ` (${stack})`}`;
}

/** Names are the service's own. */
function nextOf(name: string): string {
  if (/payment/i.test(name))
    return 'reconcilePayment, for each payment that is named; replayPaymentWebhooks where events of a log of webhooks failed';
  if (/webhook|deliver/i.test(name)) return 'replayWebhookDeliveries';
  return /booking|hold|transition/i.test(name) ? 'releaseStuckHolds' : 'find out why';
}
