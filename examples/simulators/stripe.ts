/** Stripe's events, endpoints and subscriptions with state, over real HTTP; it delivers what it is asked to, signed. */
import { createHmac } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { serve } from './local-server';

export const STRIPE_KEY = 'sk_test_simulated_51H';
export const SIGNING_SECRET = 'whsec_simulated_secret';
const DAY = 86_400;

export interface SimulatedEvent {
  id: string;
  object: 'event';
  type: string;
  created: number;
  livemode: boolean;
  pending_webhooks: number;
  data: { object: Record<string, unknown> };
}

export interface SimulatedSubscription {
  id: string;
  object: 'subscription';
  status: string;
  customer: string;
  livemode: boolean;
  created: number;
  items: { object: 'list'; data: { id: string; current_period_end: number }[] };
}

/** What Stripe, or the line to it, is at. */
export type Trouble = 'none' | 'rate' | 'html' | 'error' | 'hangup';

export type Simulator = Awaited<ReturnType<typeof startStripe>>;

export interface SimulatedAccount {
  /** Of the API. */
  key?: string;
  /** Of the endpoint. */
  secret?: string;
  /** ID of the endpoint. */
  endpointId?: string;
}

/** Starts it with one endpoint and nothing else. The caller stops it. */
export async function startStripe(
  receiver: string,
  { key: accountKey = STRIPE_KEY, secret = SIGNING_SECRET, endpointId = 'we_shop' }: SimulatedAccount = {},
) {
  const events = new Map<string, SimulatedEvent>();
  const delivered = new Set<string>();
  const subscriptions = new Map<string, SimulatedSubscription>();
  const done = new Map<string, string>();
  const endpoint = {
    id: endpointId,
    object: 'webhook_endpoint',
    url: `${receiver}/webhooks/stripe`,
    status: 'enabled',
    enabled_events: ['*'],
    livemode: false,
  };
  const state = {
    trouble: 'none' as Trouble,
    /** Requests that are answered so before it is well again. */
    times: Infinity,
    /** Deliveries are kept back until `release`. */
    hold: false,
    secret,
    pageSize: 100,
    requests: [] as { method: string; path: string; query: URLSearchParams }[],
    /** What was posted to the receiver: event and answer. */
    deliveries: [] as { event: string; status: number }[],
    /** Nothing is sent again: the key may only read. */
    readsOnly: false,
    /** After this many resends the answer is lost, though it was sent. */
    loseAnswerAfter: Infinity,
  };
  const held: string[] = [];
  const onTheWay = new Set<Promise<void>>();

  const deliver = (id: string): void => {
    if (state.hold) return void held.push(id);
    const sending = post(endpoint.url, JSON.stringify(events.get(id)), state.secret).then((status) => {
      state.deliveries.push({ event: id, status });
      if (status >= 200 && status < 300) delivered.add(id);
    });
    onTheWay.add(sending);
    void sending.finally(() => onTheWay.delete(sending));
  };

  const isKept = ({ created }: { created: number }) => created > Date.now() / 1_000 - 30 * DAY;

  const page = <T extends { id: string; created: number }>(all: T[], query: URLSearchParams) => {
    const sorted = all.sort((a, b) => b.created - a.created || (a.id < b.id ? 1 : -1));
    const after = query.get('starting_after');
    const from = after === null ? 0 : sorted.findIndex(({ id }) => id === after) + 1;
    const limit = Math.min(Number(query.get('limit') ?? 10), state.pageSize);
    return { object: 'list', data: sorted.slice(from, from + limit), has_more: sorted.length > from + limit };
  };

  function listEvents(query: URLSearchParams) {
    const types = [...query].filter(([name]) => name.startsWith('types[')).map(([, value]) => value);
    const since = Number(query.get('created[gte]') ?? 0);
    const undelivered = query.get('delivery_success') === 'false';
    return page(
      [...events.values()].filter(
        (event) =>
          isKept(event) &&
          event.created >= since &&
          (types.length === 0 || types.includes(event.type)) &&
          (!undelivered || !delivered.has(event.id)),
      ),
      query,
    );
  }

  function answerTo(method: string, path: string, query: URLSearchParams, form: URLSearchParams): unknown {
    if (method === 'GET' && path === '/v1/events') return listEvents(query);
    const [, event, retry] = /^\/v1\/events\/(\w+)(\/retry)?$/.exec(path) ?? [];
    if (event !== undefined) {
      const found = events.get(event);
      if (found === undefined || !isKept(found)) return undefined;
      if (retry === undefined) return found;
      if (form.get('webhook_endpoint') !== endpoint.id) return undefined;
      deliver(event);
      return found;
    }
    if (path === `/v1/webhook_endpoints/${endpoint.id}`) return endpoint;
    if (path === '/v1/subscriptions') return { ...page([...subscriptions.values()], query), url: path };
    const [, one] = /^\/v1\/subscriptions\/(\w+)$/.exec(path) ?? [];
    return one === undefined ? undefined : subscriptions.get(one);
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'http://stripe');
    const body = await textOf(request);
    const method = request.method!;
    state.requests.push({ method, path: url.pathname, query: url.searchParams });
    const send = (status: number, json: unknown, headers: Record<string, string> = {}) =>
      void response
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end(JSON.stringify(json));
    if (state.trouble !== 'none' && state.times > 0) {
      state.times -= 1;
      if (state.trouble === 'hangup') return void request.socket.destroy();
      if (state.trouble === 'html')
        return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>log in</html>');
      if (state.trouble === 'rate') return send(429, problem('Too many requests'), { 'retry-after': '1' });
      return send(500, problem('An unknown error occurred'));
    }
    if (request.headers.authorization !== `Bearer ${accountKey}`)
      return send(
        401,
        problem(`Invalid API Key provided: ${String(request.headers.authorization).slice(7, 20)}****`),
      );
    if (method === 'POST' && state.readsOnly)
      return send(403, problem('The provided key does not have the required permissions'));
    const key = request.headers['idempotency-key'];
    if (method === 'POST' && typeof key === 'string' && done.has(key))
      return send(200, JSON.parse(done.get(key)!));
    const found = answerTo(method, url.pathname, url.searchParams, new URLSearchParams(body));
    if (found === undefined) return send(404, problem('No such object'));
    if (method === 'POST' && typeof key === 'string') done.set(key, JSON.stringify(found));
    if (method === 'POST' && done.size > state.loseAnswerAfter) {
      state.loseAnswerAfter = Infinity;
      return void request.socket.destroy();
    }
    send(200, found);
  }

  const release = (): void => {
    state.hold = false;
    held.splice(0).forEach(deliver);
  };
  const settled = async (): Promise<void> => {
    while (onTheWay.size > 0) await Promise.all(onTheWay);
  };

  const server = await serve((request, response) => void handle(request, response));
  return {
    ...server,
    state,
    endpoint,
    events,
    delivered,
    subscriptions,
    /** Something has happened at Stripe; nothing of it was delivered. */
    add: (
      id: string,
      type = 'invoice.paid',
      { ageSeconds = 3_600, object = {}, livemode = false } = {},
    ): string => {
      const created = Math.floor(Date.now() / 1_000) - ageSeconds;
      const data = { object: { id: `in_${id}`, object: 'invoice', ...object } };
      events.set(id, { id, object: 'event', type, created, livemode, pending_webhooks: 1, data });
      return id;
    },
    subscribe: (
      id: string,
      status: string,
      periodEnd: number,
      customer = `cus_${id}`,
    ): SimulatedSubscription => {
      const subscription: SimulatedSubscription = {
        id,
        object: 'subscription',
        status,
        customer,
        livemode: false,
        created: 1,
        items: { object: 'list', data: [{ id: `si_${id}`, current_period_end: periodEnd }] },
      };
      subscriptions.set(id, subscription);
      return subscription;
    },
    /** Stripe's own attempt, as it makes them for three days. */
    deliver,
    release,
    heldBack: () => held.length,
    /** All that is on its way has come. */
    settled,
    /** Well again, and with nothing in it. */
    reset: async (): Promise<void> => {
      Object.assign(state, { trouble: 'none', times: Infinity, readsOnly: false });
      endpoint.status = 'enabled';
      release();
      await settled();
      [events, delivered, subscriptions].forEach((all) => all.clear());
      state.requests = [];
    },
    resent: () =>
      state.requests.filter(({ path }) => path.endsWith('/retry')).map(({ path }) => path.split('/')[3]!),
  };
}

function problem(message: string) {
  return { error: { type: 'invalid_request_error', message } };
}

/** As Stripe signs: https://docs.stripe.com/webhooks#verify-manually */
async function post(url: string, body: string, secret: string): Promise<number> {
  const at = Math.floor(Date.now() / 1_000);
  const signature = createHmac('sha256', secret).update(`${at}.${body}`).digest('hex');
  const headers = { 'content-type': 'application/json', 'stripe-signature': `t=${at},v1=${signature}` };
  return fetch(url, { method: 'POST', headers, body }).then(
    async (answer) => {
      await answer.arrayBuffer();
      return answer.status;
    },
    () => 0,
  );
}

export async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) text += String(part);
  return text;
}
