import { serve, type LocalServer } from '../support/local-server';

export interface SentryEvent {
  issue: number;
  atMs: number;
  level?: 'fatal' | 'error' | 'warning' | 'info';
  type: string;
  value: string;
  environment?: string;
  /** Oldest call first, as Sentry keeps them. */
  frames?: { function: string; filename: string; lineNo: number }[];
  tags?: Record<string, string>;
  headers?: [string, string][];
}

export interface SentrySimulator extends LocalServer {
  events: SentryEvent[];
  resolved: Set<number>;
  /** Of issues that are no errors, e.g. `performance`. */
  categories: Map<number, string>;
  /** How it answers whatever path begins so. */
  trouble: { path: string; status: number; type: string; body: string } | undefined;
  requests: URL[];
  reset: () => void;
}

export const SENTRY_TOKEN = 'sntrys_0123456789ofTheTests';
export const PROJECT_ID = '4507';

/** The parts of Sentry's REST API that are asked about the issues of the project acme/shop. */
export async function startSentry(): Promise<SentrySimulator> {
  const blank = () => ({
    events: [],
    resolved: new Set(),
    categories: new Map(),
    trouble: undefined,
    requests: [],
  });
  const simulator = blank() as unknown as SentrySimulator;
  const server = await serve((request, response) => {
    const url = new URL(request.url!, 'http://sentry');
    const say = (status: number, body: unknown, headers: Record<string, string> = {}) =>
      response
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end(typeof body === 'string' ? body : JSON.stringify(body));
    simulator.requests.push(url);
    if (request.headers.authorization !== `Bearer ${SENTRY_TOKEN}`)
      return say(401, { detail: 'Invalid token' });
    const { trouble } = simulator;
    if (trouble !== undefined && url.pathname.startsWith(trouble.path))
      return say(trouble.status, trouble.body, { 'content-type': trouble.type });
    if (url.pathname === '/api/0/projects/acme/shop/') return say(200, { id: PROJECT_ID, slug: 'shop' });
    if (url.pathname === '/api/0/organizations/acme/issues/') return listIssues(simulator, url, say);
    const [, issue] =
      /^\/api\/0\/organizations\/acme\/issues\/(\d+)\/events\/latest\/$/.exec(url.pathname) ?? [];
    const newest = simulator.events.filter((one) => one.issue === Number(issue)).at(-1);
    return newest === undefined
      ? say(404, { detail: 'The requested resource does not exist' })
      : say(200, wholeEvent(newest));
  });
  return Object.assign(simulator, server, { reset: () => void Object.assign(simulator, blank()) });
}

type Say = (status: number, body: unknown, headers?: Record<string, string>) => unknown;

/** Counts within the time that is asked for; pages by a cursor, and has a link to the next one also where nothing is there. */
function listIssues({ events, resolved, categories }: SentrySimulator, url: URL, say: Say): unknown {
  const asked = url.searchParams;
  const time = (name: string) => Date.parse(`${asked.get(name)}Z`);
  const [start, end, limit] = [time('start'), time('end'), Number(asked.get('limit') ?? 100)];
  if (asked.get('project') !== PROJECT_ID) return say(400, { detail: 'Invalid project parameter.' });
  if (!(start < end) || limit > 100) return say(400, { detail: 'Invalid date range, or limit.' });
  if (asked.get('query') === 'is:') return say(400, { detail: `Empty string after 'is:' ${SENTRY_TOKEN}` });
  const within = events.filter(
    ({ atMs, environment }) =>
      atMs >= start && atMs < end && (asked.get('environment') ?? environment) === environment,
  );
  const ids = [...new Set(within.map(({ issue }) => issue))].filter(
    (id) => asked.get('query') !== 'is:unresolved' || !resolved.has(id),
  );
  const issues = ids.map((id) => {
    const own = within.filter(({ issue }) => issue === id);
    const { type, value, level = 'error' } = own.at(-1)!;
    return {
      id: String(id),
      title: `${type}: ${value}`,
      level,
      issueCategory: categories.get(id) ?? 'error',
      metadata: { type, value, filename: 'app.js' },
      count: String(own.length),
      userCount: 1,
    };
  });
  if (asked.get('sort') === 'freq') issues.sort((a, b) => Number(b.count) - Number(a.count));
  const from = Number(asked.get('cursor')?.split(':')[1] ?? 0);
  const link = (offset: number, rel: string, more: boolean) => {
    const cursor = `0:${Math.max(0, offset)}:${rel === 'next' ? 0 : 1}`;
    return `<http://elsewhere.example.com/?&cursor=${cursor}>; rel="${rel}"; results="${more}"; cursor="${cursor}"`;
  };
  return say(200, issues.slice(from, from + limit), {
    link: `${link(from - limit, 'previous', from > 0)}, ${link(from + limit, 'next', from + limit < issues.length)}`,
  });
}

function wholeEvent({ type, value, frames = [], tags = {}, headers }: SentryEvent): object {
  return {
    eventID: 'f'.repeat(32),
    title: `${type}: ${value}`,
    entries: [
      { type: 'exception', data: { values: [{ type, value, stacktrace: { frames } }] } },
      ...(headers === undefined ? [] : [{ type: 'request', data: { url: 'https://shop', headers } }]),
    ],
    tags: Object.entries(tags).map(([key, one]) => ({ key, value: one })),
  };
}
