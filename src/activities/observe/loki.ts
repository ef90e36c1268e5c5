import { operationSchema } from '../../config/http-operation-schema';
import type { LokiConfig } from '../../config/log-schema';
import { fail } from '../support/failure';
import { fieldsOf, saidLevel } from './log-events';
import { isOk, jsonOf, requireOk } from '../support/http';
import { valueAt, type Json } from '../support/json';
import { exchange, type OperationCall } from '../support/operation/exchange';

/** Lines of a log, the oldest first. */
export interface LogText {
  text: string;
  /** There was more than is ever read. */
  more: boolean;
}

const PAGE = 2_000;
const MAX_PAGES = 25;
const MAX_BYTES = 16_000_000;

export const longestLokiMs = ({ timeoutMs }: LokiConfig): number => MAX_PAGES * timeoutMs;

interface Entry {
  /** Nanoseconds since 1970. */
  at: bigint;
  line: string;
}

/**
 * What Loki has of a query since an ISO time, its newest 50,000 lines at most. A line that says no level gets that of its
 * stream. Throws HttpFailed, and LogRefused with what Loki says of the query.
 * https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time
 */
export async function readLoki(
  loki: LokiConfig,
  { action, since, directory }: { action: string; since: string; directory: string },
): Promise<LogText> {
  const start = BigInt(Date.parse(since)) * 1_000_000n;
  const found: Entry[] = [];
  // Its end is exclusive. Lines of the same nanosecond may lie on both sides of a page.
  let end = BigInt(Date.now() + 1) * 1_000_000n;
  let known = new Set<string>();
  let more = false;
  for (let pages = 1; ; pages += 1) {
    const page = await readPage(loki, { start, end }, { action, directory });
    const fresh = page.filter(({ at, line }) => !known.has(`${at} ${line}`));
    found.push(...fresh);
    if (page.length < PAGE) break;
    // More lines of one nanosecond than a page has: nobody can ask for those before them.
    more = pages === MAX_PAGES || fresh.length === 0;
    if (more) break;
    const oldest = page.reduce((least, { at }) => (at < least ? at : least), end);
    known = new Set(page.filter(({ at }) => at === oldest).map(({ at, line }) => `${at} ${line}`));
    end = oldest + 1n;
  }
  found.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  return { text: found.map(({ line }) => line).join('\n'), more };
}

async function readPage(
  { url, query, auth, headers, timeoutMs }: LokiConfig,
  { start, end }: { start: bigint; end: bigint },
  call: Pick<OperationCall, 'action' | 'directory'>,
): Promise<Entry[]> {
  const parameters = { query, start: String(start), end: String(end), limit: String(PAGE) };
  const names = Object.keys(parameters);
  const operation = operationSchema(names).parse({
    url: `${url.replace(/\/+$/, '')}/loki/api/v1/query_range`,
    query: { ...Object.fromEntries(names.map((name) => [name, `{${name}}`])), direction: 'backward' },
    headers,
    timeoutMs,
    ...(auth === undefined ? {} : { auth }),
  });
  return exchange(operation, { ...call, parameters, maxBytes: MAX_BYTES }, (answer, clean) => {
    if (answer.status === 400)
      throw fail(
        'LogRefused',
        `Loki refuses the query: ${clean(answer.text.slice(0, 300))}. Correct observe.logs.loki.query.`,
      );
    requireOk(answer);
    const said = isOk(answer) ? jsonOf(answer) : null;
    const type = valueAt(said, 'data.resultType');
    if (type !== 'streams')
      throw fail(
        'LogRefused',
        `The query gives ${typeof type === 'string' ? type : 'something else'} and no log lines. Correct observe.logs.loki.query.`,
      );
    return (valueAt(said, 'data.result') as unknown as Stream[]).flatMap(entriesOf);
  });
}

interface Stream {
  stream: Record<string, Json>;
  values: [string, string][];
}

function entriesOf({ stream, values }: Stream): Entry[] {
  const level = stream['level'] ?? stream['detected_level'] ?? stream['severity'];
  return values.map(([at, line]) => ({ at: BigInt(at), line: withLevel(line, level) }));
}

/** One line, whatever is in it, so that no part of it passes for another event. */
function withLevel(line: string, level: Json | undefined): string {
  const json = fieldsOf(line);
  if (json !== undefined)
    return saidLevel(json) === undefined ? JSON.stringify({ ...json, level }) : JSON.stringify(json);
  if (level === undefined || level === 'unknown') return line;
  const [message = '', ...stack] = line.split('\n');
  return JSON.stringify({ level, message, stack: stack.join('\n') });
}
