import type { FastifyInstance } from 'fastify';
import type { Pool } from 'pg';
import { request } from 'undici';
import { headersOf, signatureOf } from './receiver';
import { requireBearer } from './secrets';

export interface WebhookOptions {
  /** Named in the headers. */
  service: string;
  token: string;
  /** Plays every host below example.com. */
  receiverUrl: () => string;
  /** Between the first attempt and the second one; doubled with each further one. */
  backoffMs: number;
  /** How long a receiver may take. */
  timeoutMs: () => number;
}

interface Claimed {
  id: string;
  endpoint: string;
  url: string;
  key: Buffer;
  event: string;
  payload: unknown;
  attempts: number;
}

interface Answer {
  status: number | null;
  error: string | null;
  retryAfterMs: number;
}

const PAGE = 100;
const ROUND = 20;
const AT_ONCE = 5;
/** As a check of the table has it. */
const MAX_ATTEMPTS = 8;
const SPARE_MS = 10_000;

/** What is known of deliveries, and a round of those that are due, for whoever has the token of the operators. */
export function addWebhooks(
  server: FastifyInstance,
  pools: { current: () => Pool },
  options: WebhookOptions,
): void {
  void server.register(
    async (webhooks) => {
      webhooks.addHook('onRequest', requireBearer(options.token));
      webhooks.get<{ Querystring: { after: string } }>(
        '/',
        { schema: { querystring: { type: 'object', properties: { after: cursor } } } },
        ({ query }) => listOpen(pools.current(), query.after),
      );
      webhooks.get<{ Params: { id: string } }>('/deliveries/:id', async ({ params }, reply) => {
        const { rows } = await pools.current().query(`${DELIVERY} WHERE d.id = $1`, [params.id]);
        return rows.length === 0 ? reply.code(404).send({ error: 'no such delivery' }) : rows[0];
      });
      webhooks.post('/deliveries/run', () => sendDue(pools.current(), options));
      webhooks.post<{ Params: { id: string } }>('/endpoints/:id/probe', async ({ params }, reply) => {
        const { rows } = await pools
          .current()
          .query<Pick<Claimed, 'url' | 'key'>>(
            'SELECT url, secret_hash AS key FROM webhook_endpoints WHERE id = $1',
            [params.id],
          );
        if (rows[0] === undefined) return reply.code(404).send({ error: 'no such endpoint' });
        const { status, error } = await send(
          { ...rows[0], id: '0', event: 'probe', payload: { event: 'probe' } },
          options,
        );
        return { status, error };
      });
    },
    { prefix: '/v0/webhooks' },
  );
}

const cursor = { type: 'string', pattern: '^[0-9]{0,18}$', default: '' };

/** One that was tried and is tried again is "failed" here; one that is not is "terminal". */
const DELIVERY = `SELECT d.id::text, d.endpoint_id::text AS "endpointId", e.url, d.event, d.attempts, d.last_error AS "lastError",
    d.next_attempt_at AS "nextAttemptAt",
    CASE d.status WHEN 'pending' THEN CASE WHEN d.attempts = 0 THEN 'pending' ELSE 'failed' END
      WHEN 'failed' THEN 'terminal' ELSE d.status END AS state
  FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id`;

async function listOpen(pool: Pool, after: string): Promise<{ deliveries: object[]; next: string | null }> {
  const { rows } = await pool.query<{ id: string }>(
    `${DELIVERY} WHERE d.status = 'pending' AND d.id > $1 ORDER BY d.id LIMIT $2`,
    [after === '' ? '0' : after, PAGE],
  );
  return { deliveries: rows, next: rows.length === PAGE ? rows.at(-1)!.id : null };
}

/**
 * Sends what is due, the oldest first; without `again` only what was never tried. Several rounds at once never send one
 * delivery twice.
 */
export async function sendDue(
  pool: Pool,
  options: WebhookOptions,
  { again }: { again: boolean } = { again: true },
): Promise<{ processed: number; succeeded: number }> {
  // Due again where nobody writes down what became of it.
  const claimedMs = Math.ceil(ROUND / AT_ONCE) * options.timeoutMs() + SPARE_MS;
  const { rows } = await pool.query<Claimed>(
    `UPDATE webhook_deliveries d SET attempts = attempts + 1, next_attempt_at = now() + $1 * interval '1 ms'
       FROM webhook_endpoints e
      WHERE e.id = d.endpoint_id AND d.id IN (
        SELECT id FROM webhook_deliveries
         WHERE status = 'pending' AND attempts < $2 AND ($4 OR attempts = 0) AND (next_attempt_at IS NULL OR next_attempt_at <= now())
         ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED)
      RETURNING d.id::text, d.endpoint_id::text AS endpoint, e.url, e.secret_hash AS key, d.event, d.payload, d.attempts`,
    [claimedMs, MAX_ATTEMPTS, ROUND, again],
  );
  let succeeded = 0;
  const waiting = [...rows];
  const work = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift())
      if (await deliver(pool, one, options)) succeeded += 1;
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { processed: rows.length, succeeded };
}

async function deliver(pool: Pool, claimed: Claimed, options: WebhookOptions): Promise<boolean> {
  const { status, error, retryAfterMs } = await send(claimed, options);
  if (error === null) {
    await pool.query(
      `UPDATE webhook_deliveries SET status = 'succeeded', delivered_at = now(), next_attempt_at = NULL, last_error = NULL WHERE id = $1`,
      [claimed.id],
    );
    return true;
  }
  const over = status === 410 || claimed.attempts >= MAX_ATTEMPTS;
  const waitMs = Math.max(options.backoffMs * 2 ** (claimed.attempts - 1), retryAfterMs);
  await pool.query(
    `UPDATE webhook_deliveries SET status = $2, last_error = $3,
            next_attempt_at = CASE WHEN $2 = 'pending' THEN now() + $4 * interval '1 ms' END WHERE id = $1`,
    [claimed.id, over ? 'failed' : 'pending', error, waitMs],
  );
  return false;
}

/** One signed request. Whatever comes of it is an answer. */
async function send(
  { id, url, key, event, payload }: Pick<Claimed, 'id' | 'url' | 'key' | 'event' | 'payload'>,
  { service, receiverUrl, timeoutMs: currentTimeoutMs }: WebhookOptions,
): Promise<Answer> {
  const timeoutMs = currentTimeoutMs();
  const names = headersOf(service);
  const body = JSON.stringify(payload);
  try {
    const answer = await request(addressOf(url, receiverUrl()), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        [names.signature]: signatureOf(key, body),
        [names.delivery]: id,
        [names.event]: event,
      },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    });
    await answer.body.dump();
    const status = answer.statusCode;
    const retryAfterMs = Number(answer.headers['retry-after'] ?? 0) * 1_000 || 0;
    return { status, error: status < 300 ? null : `HTTP ${status}`, retryAfterMs };
  } catch (error) {
    const { name, code, message } = error as { name: string; code?: string; message: string };
    const timedOut = name === 'TimeoutError';
    const text = timedOut ? `timeout after ${timeoutMs} ms` : `${code ?? ''} ${message}`.trim();
    return { status: null, error: text, retryAfterMs: 0 };
  }
}

/** Nobody listens below example.com; everything else is asked itself. */
function addressOf(url: string, receiverUrl: string): string {
  const { hostname, pathname } = new URL(url);
  return hostname.endsWith('.example.com') ? `${receiverUrl}/${hostname}${pathname}` : url;
}
