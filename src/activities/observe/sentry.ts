import { operationSchema } from '../../config/http-operation-schema';
import type { SentryConfig } from '../../config/log-schema';
import { fail } from '../support/failure';
import { isHttpFailure, jsonOf, requireOk, type HttpAnswer } from '../support/http';
import { valueAt, type Json } from '../support/json';
import { exchange, type OperationCall } from '../support/operation/exchange';
import { levelOf, shown, shownStack, type LogEvent } from './log-events';
import { isIdField, requestOf } from './request-ids';

const PAGE = 100;
const MAX_PAGES = 10;
const MAX_BYTES = 16_000_000;

export const longestSentryMs = ({ timeoutMs }: SentryConfig, traces: number): number =>
  (1 + MAX_PAGES + traces) * timeoutMs;

type Call = Pick<OperationCall, 'action' | 'directory'>;
type Ask = <T>(path: string, query: Record<string, string>, judge: (answer: HttpAnswer) => T) => Promise<T>;

/** Events of one issue, of which only the newest is read, and only where it is among the most frequent. */
interface Issue {
  id: string;
  event: LogEvent;
}

/**
 * The issues of a project that had events since an ISO time, 1,000 at most, the most frequent first, with the stack traces
 * of the first few errors. Throws HttpFailed, and LogRefused with what Sentry says of the query.
 * https://docs.sentry.io/api/events/list-an-organizations-issues/
 */
export async function readSentry(
  sentry: SentryConfig,
  { since, traces, ...call }: Call & { since: string; traces: number },
): Promise<{ events: LogEvent[]; more: boolean }> {
  const ask = asking(sentry, call);
  const { issues, more } = await readIssues(ask, sentry, since);
  const errors = issues.filter(({ event }) => event.level === 'error').slice(0, traces);
  for (const issue of errors) Object.assign(issue.event, await readNewest(ask, sentry, issue.id));
  return { events: issues.map(({ event }) => event), more };
}

async function readIssues(
  ask: Ask,
  sentry: SentryConfig,
  since: string,
): Promise<{ issues: Issue[]; more: boolean }> {
  const path = `organizations/${sentry.organization}/issues`;
  const query = {
    ...ofEnvironment(sentry),
    project: await projectId(ask, sentry),
    query: sentry.query,
    start: inUtc(new Date(since)),
    end: inUtc(new Date()),
    sort: 'freq',
    limit: String(PAGE),
  };
  const issues: Issue[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < MAX_PAGES; pages += 1) {
    const page = await ask(path, cursor === undefined ? query : { ...query, cursor }, issuesOf);
    issues.push(...page.issues);
    cursor = page.next;
    if (cursor === undefined) break;
  }
  return { issues, more: cursor !== undefined };
}

/** The list of issues knows projects by their IDs. */
async function projectId(ask: Ask, { organization, project }: SentryConfig): Promise<string> {
  if (/^\d+$/.test(project)) return project;
  return ask(`projects/${organization}/${project}`, {}, (answer) => {
    const id = textAt(jsonOf(answer), 'id');
    if (id === undefined) throw noList('no project');
    return id;
  });
}

function ofEnvironment({ environment }: SentryConfig): Record<string, string> {
  return environment === undefined ? {} : { environment };
}

/** Sentry takes times for UTC, and wants no zone. */
function inUtc(time: Date): string {
  return time.toISOString().replace('Z', '');
}

function asking({ url, auth, headers, timeoutMs }: SentryConfig, call: Call): Ask {
  return (path, query, judge) => {
    const names = Object.keys(query);
    const operation = operationSchema(names).parse({
      url: `${url.replace(/\/+$/, '')}/api/0/${path}/`,
      query: Object.fromEntries(names.map((name) => [name, `{${name}}`])),
      headers,
      timeoutMs,
      ...(auth === undefined ? {} : { auth }),
    });
    return exchange(operation, { ...call, parameters: query, maxBytes: MAX_BYTES }, (answer, clean) => {
      if (answer.status === 400)
        throw fail(
          'LogRefused',
          `Sentry refuses the query: ${clean(answer.text.slice(0, 300))}. Correct observe.logs.sentry.`,
        );
      requireOk(answer);
      return judge(answer);
    });
  };
}

function issuesOf(answer: HttpAnswer): { issues: Issue[]; next: string | undefined } {
  const found = jsonOf(answer);
  if (!Array.isArray(found)) throw noList('no list of issues');
  return { issues: found.flatMap(issueOf), next: nextCursor(answer.link) };
}

function issueOf(issue: Json): Issue[] {
  const [id, count] = [textAt(issue, 'id') ?? '', Number(valueAt(issue, 'count') ?? Number.NaN)];
  if (!/^\d+$/.test(id) || !Number.isInteger(count)) throw noList('an issue without its ID or its count');
  const said = valueAt(issue, 'level');
  const level = said === undefined ? 'error' : levelOf(said);
  const category = valueAt(issue, 'issueCategory') ?? 'error';
  if (level === undefined || category !== 'error' || count < 1) return [];
  const [type, value] = [textAt(issue, 'metadata.type'), textAt(issue, 'metadata.value')];
  const message = type === undefined || value === undefined ? textAt(issue, 'title') : `${type}: ${value}`;
  return [{ id, event: { level, message: shown(message ?? 'without a message'), stack: '', count } }];
}

function noList(what: string): Error {
  return fail(
    'LogRefused',
    `Sentry answers with ${what}; correct observe.logs.sentry.url, which is that of its API.`,
  );
}

/** Of the next page, where that has results. No more of the header is used: an address in it could lead elsewhere. */
export function nextCursor(link = ''): string | undefined {
  const next = link.split(/,\s*(?=<)/).find((one) => /;\s*rel="next"/.test(one)) ?? '';
  return /;\s*results="true"/.test(next) ? /;\s*cursor="([^"]+)"/.exec(next)?.[1] : undefined;
}

/** What only whole events have. The kind of an error and how often it came are worth telling without. */
async function readNewest(
  ask: Ask,
  sentry: SentryConfig,
  issue: string,
): Promise<Partial<Pick<LogEvent, 'stack' | 'requestId'>>> {
  const path = `organizations/${sentry.organization}/issues/${issue}/events/latest`;
  try {
    return await ask(path, ofEnvironment(sentry), (answer) => {
      const event = jsonOf(answer);
      return { stack: shownStack(framesOf(event)), ...requestIn(event) };
    });
  } catch (error) {
    if (isHttpFailure(error)) return {};
    throw error;
  }
}

/** As a stack trace of JavaScript has them: the newest call first. */
function framesOf(event: Json): string[] {
  const exceptions = itemsAt(entryOf(event, 'exception'), 'values');
  const frames = itemsAt(exceptions.at(-1) ?? null, 'stacktrace.frames');
  return frames.reverse().map((frame) => {
    const file = textAt(frame, 'filename') ?? textAt(frame, 'module') ?? 'somewhere';
    const line = valueAt(frame, 'lineNo');
    return `at ${textAt(frame, 'function') ?? '?'} (${file}${typeof line === 'number' ? `:${line}` : ''})`;
  });
}

function requestIn(event: Json): { requestId?: string } {
  const tags = itemsAt(event, 'tags').map((tag) => [valueAt(tag, 'key'), valueAt(tag, 'value')]);
  const headers = itemsAt(entryOf(event, 'request'), 'headers').map((pair) =>
    Array.isArray(pair) ? pair : [],
  );
  const found = [...tags, ...headers].find(([name]) => typeof name === 'string' && isIdField(name));
  return requestOf(found?.[1]);
}

function entryOf(event: Json, type: string): Json {
  const entry = itemsAt(event, 'entries').find((one) => valueAt(one, 'type') === type) ?? null;
  return valueAt(entry, 'data') ?? null;
}

function itemsAt(json: Json, path: string): Json[] {
  const value = valueAt(json, path);
  return Array.isArray(value) ? value : [];
}

function textAt(json: Json, path: string): string | undefined {
  const value = valueAt(json, path);
  return typeof value === 'string' && value !== '' ? value : undefined;
}
