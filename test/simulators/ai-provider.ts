/**
 * Two providers of generated text as their clients see them: POST /v1/chat/completions of one kind, POST /v1/messages of the
 * other, each with its headers, answers and errors, and a status page of statuspage.io. Keeps its state between requests.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type ProviderKind = 'openai' | 'anthropic';

/** How it is: `hangs` takes requests and does not answer, `overloaded` is 529 of the one and 503 of the other. */
export type Mood = 'well' | 'hangs' | 'down' | 'overloaded';

/** What the status page says of everything; its components follow it. */
export type Indicator = 'none' | 'minor' | 'major' | 'critical';

export interface AiProvider {
  readonly kind: ProviderKind;
  url: string;
  mood: Mood;
  /** Pages of providers are slow to tell: what they say is set apart from how it is. */
  indicator: Indicator;
  /** The key that it takes; another one from now on is what a revoked key looks like. */
  key: string;
  /** Requests within `limitMs`; the next one is 429 with Retry-After. */
  limit: number;
  limitMs: number;
  /** A longer prompt is refused as too long. */
  maxPromptChars: number;
  /** Requests for a text, by what became of them. */
  readonly asked: { prompt: string; status: number }[];
  /** How often the status page was read. */
  pageReads: number;
  /** As if nobody had asked anything yet. */
  forget(): void;
  /** Lets go of the requests that hang: their connections end. */
  letGo(): void;
  stop(): Promise<void>;
}

const MAX_BODY = 1_000_000;

export async function startAiProvider(
  kind: ProviderKind,
  options: { key: string; port?: number } = { key: 'sk-test' },
): Promise<AiProvider> {
  const asked: AiProvider['asked'] = [];
  const hanging = new Set<ServerResponse>();
  let taken: number[] = [];
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy());
  });

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '/').split('?')[0];
    const page = request.method === 'GET' ? pageAt(path, self) : undefined;
    if (page !== undefined) {
      self.pageReads += 1;
      return send(response, 200, page);
    }
    const body = await readJson(request);
    if (request.method !== 'POST' || path !== PATHS[kind])
      return send(response, 404, problem(kind, 404, `unknown path ${path}`));
    const prompt = promptOf(body);
    const record = (status: number) => void asked.push({ prompt, status });
    if (self.mood === 'hangs') {
      record(0);
      hanging.add(response);
      response.once('close', () => hanging.delete(response));
      return;
    }
    const refusal = refusalOf(self, request, body, prompt) ?? overLimit();
    record(refusal?.status ?? 200);
    if (refusal === undefined) return send(response, 200, textOf(kind, body, prompt));
    const headers: Record<string, string> =
      refusal.waitMs === undefined ? {} : { 'retry-after': seconds(refusal.waitMs) };
    send(response, refusal.status, problem(kind, refusal.status, refusal.message), headers);
  };

  /** Counts the request where there is room for it. */
  const overLimit = (): Refusal | undefined => {
    const now = Date.now();
    taken = taken.filter((at) => at > now - self.limitMs);
    if (taken.length < self.limit) {
      taken.push(now);
      return undefined;
    }
    const waitMs = (taken[0] ?? now) + self.limitMs - now;
    const message = `Rate limit reached: ${self.limit} requests. Please try again in ${seconds(waitMs)}s.`;
    return { status: 429, message, waitMs };
  };

  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const self: AiProvider = {
    kind,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mood: 'well',
    indicator: 'none',
    key: options.key,
    limit: Infinity,
    limitMs: 60_000,
    maxPromptChars: 10_000,
    asked,
    pageReads: 0,
    forget: () => {
      asked.length = 0;
      taken = [];
    },
    letGo: () => hanging.forEach((response) => response.destroy()),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return self;
}

interface Refusal {
  status: number;
  message: string;
  waitMs?: number;
}

type Body = Record<string, unknown>;

const PATHS: Record<ProviderKind, string> = { openai: '/v1/chat/completions', anthropic: '/v1/messages' };
const OVERLOADED: Record<ProviderKind, number> = { openai: 503, anthropic: 529 };

function refusalOf(
  { kind, key, mood, maxPromptChars }: AiProvider,
  { headers }: IncomingMessage,
  body: Body | undefined,
  prompt: string,
): Refusal | undefined {
  const given = kind === 'openai' ? headers.authorization?.replace(/^Bearer /, '') : headers['x-api-key'];
  if (mood === 'down')
    return { status: 500, message: 'The server had an error while processing your request' };
  if (mood === 'overloaded') return { status: OVERLOADED[kind], message: 'Overloaded' };
  if (given !== key) return { status: 401, message: 'Incorrect API key provided' };
  const needed = kind === 'openai' ? ['model', 'messages'] : ['model', 'messages', 'max_tokens'];
  const missing = needed.filter((name) => body?.[name] === undefined);
  if (kind === 'anthropic' && headers['anthropic-version'] === undefined) missing.push('anthropic-version');
  if (missing.length > 0) return { status: 400, message: `missing: ${missing.join(', ')}` };
  if (prompt.length > maxPromptChars)
    return { status: 400, message: 'the prompt is longer than the context' };
  return undefined;
}

const TYPES: Record<ProviderKind, Record<number, string>> = {
  openai: { 401: 'invalid_request_error', 429: 'requests', 500: 'server_error', 503: 'server_error' },
  anthropic: {
    401: 'authentication_error',
    404: 'not_found_error',
    429: 'rate_limit_error',
    500: 'api_error',
    529: 'overloaded_error',
  },
};
const CODES: Record<number, string> = { 401: 'invalid_api_key', 429: 'rate_limit_exceeded' };

function problem(kind: ProviderKind, status: number, message: string): object {
  const type = TYPES[kind][status] ?? 'invalid_request_error';
  if (kind === 'openai') return { error: { message, type, param: null, code: CODES[status] ?? null } };
  return { type: 'error', error: { type, message }, request_id: `req_${randomUUID()}` };
}

function textOf(kind: ProviderKind, body: Body | undefined, prompt: string): object {
  const model = body?.['model'];
  const text = `A text about: ${prompt.slice(0, 100)}`;
  const [asked, given] = [prompt, text].map((one) => Math.ceil(one.length / 4)) as [number, number];
  if (kind === 'openai')
    return {
      ...{ id: `chatcmpl-${randomUUID()}`, object: 'chat.completion', model },
      created: Math.floor(Date.now() / 1_000),
      choices: [
        { index: 0, message: { role: 'assistant', content: text, refusal: null }, finish_reason: 'stop' },
      ],
      usage: { prompt_tokens: asked, completion_tokens: given, total_tokens: asked + given },
    };
  return {
    ...{ id: `msg_${randomUUID()}`, type: 'message', role: 'assistant', model },
    content: [{ type: 'text', text }],
    ...{ stop_reason: 'end_turn', stop_sequence: null },
    usage: { input_tokens: asked, output_tokens: given },
  };
}

const COMPONENT: Record<Indicator, string> = {
  none: 'operational',
  minor: 'degraded_performance',
  major: 'partial_outage',
  critical: 'major_outage',
};
const DESCRIPTION: Record<Indicator, string> = {
  none: 'All Systems Operational',
  minor: 'Minor Service Outage',
  major: 'Partial System Outage',
  critical: 'Major Service Outage',
};

function pageAt(path: string | undefined, { kind, url, indicator }: AiProvider): object | undefined {
  const page = { id: kind, name: kind, url, time_zone: 'Etc/UTC', updated_at: new Date().toISOString() };
  const status = { indicator, description: DESCRIPTION[indicator] };
  if (path === '/api/v2/status.json') return { page, status };
  if (path !== '/api/v2/summary.json') return undefined;
  const components = [
    { id: 'api', name: 'API', status: COMPONENT[indicator] },
    { id: 'site', name: 'Website', status: 'operational' },
  ];
  return { page, status, components, incidents: [], scheduled_maintenances: [] };
}

async function readJson(request: IncomingMessage): Promise<Body | undefined> {
  let text = '';
  for await (const part of request) {
    text += String(part);
    if (text.length > MAX_BODY) throw new Error('too long');
  }
  try {
    return JSON.parse(text) as Body;
  } catch {
    return undefined;
  }
}

function promptOf(body: Body | undefined): string {
  const messages = body?.['messages'];
  if (!Array.isArray(messages)) return '';
  const texts = messages.map((one: { content?: unknown } | null) => one?.content);
  return texts.filter((text) => typeof text === 'string').join('\n');
}

const seconds = (ms: number): string => String(Math.max(1, Math.ceil(ms / 1_000)));

function send(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
