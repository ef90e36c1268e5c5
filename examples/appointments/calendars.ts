/** Calendars of hosts: consent, what they are busy with (sync), and our appointments in them (writeback). */
import { createHmac } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { Pool } from 'pg';
import { Unauthorized, type CalendarClient, type Provider } from './calendar-clients';
import { sameText } from '../shared/secrets';

export interface CalendarOptions {
  pool: Pool;
  clients: Record<Provider, CalendarClient>;
  /** Of the operators. */
  token: string;
  /** Signs what a page of consent sends back. */
  linkKey: string;
}

interface Connection {
  id: string;
  provider: Provider;
  token: string;
}

const HORIZON_DAYS = 21;
const ROUND = 10;
const DAY_MS = 86_400_000;

/** Consent that was withdrawn ends with what was read by it: a connection that is expired knows nothing of its owner's day. */
const EXPIRE = `WITH forgotten AS (DELETE FROM calendar_events WHERE connection_id = $1)
  UPDATE calendar_connections SET status = 'expired', refresh_token = NULL, last_error = $2 WHERE id = $1`;

export function addCalendars(server: FastifyInstance, options: CalendarOptions): void {
  const { pool, clients, token } = options;
  addConsent(server, options);
  void server.register(
    async (operators) => {
      operators.addHook('onRequest', async (request, reply) => {
        if (!sameText(request.headers.authorization ?? '', `Bearer ${token}`))
          await reply.code(401).send({ error: 'a bearer token is needed' });
      });
      operators.get('/sync/status', async () => ({ connections: await readConnections(pool) }));
      for (const provider of ['google', 'microsoft'] as const)
        operators.post(`/${provider}/sync`, () => sync(pool, clients, provider));
      operators.post('/writeback/run', () => writeBack(pool, clients));
    },
    { prefix: '/v0/calendar' },
  );
}

/**
 * The owner opens the first, agrees at the provider, and comes back to the second. The example has no accounts: elsewhere the
 * first asks who it is.
 */
function addConsent(server: FastifyInstance, { pool, clients, linkKey }: CalendarOptions): void {
  const sign = (id: string) =>
    `${id}.${createHmac('sha256', linkKey).update(`consent ${id}`).digest('base64url')}`;
  const redirect = (provider: Provider, host: string) => `http://${host}/v0/calendar/${provider}/callback`;
  const params = { type: 'object', properties: { provider: { enum: ['google', 'microsoft'] } } };
  server.get<{ Params: { provider: Provider }; Querystring: { for: string } }>(
    '/v0/calendar/:provider/connect',
    { schema: { params } },
    ({ params: { provider }, query, host }, reply) =>
      reply.redirect(
        clients[provider].consent({
          account: query.for,
          redirect: redirect(provider, host),
          state: sign(query.for),
        }),
      ),
  );
  server.get<{ Params: { provider: Provider }; Querystring: { code: string; state: string } }>(
    '/v0/calendar/:provider/callback',
    { schema: { params } },
    async ({ params: { provider }, query: { code, state }, host }, reply) => {
      const [id] = state.split('.');
      if (id === undefined || !sameText(state, sign(id))) return reply.code(400).send({ error: 'not ours' });
      const token = await clients[provider].exchange(code, redirect(provider, host));
      const { rowCount } = await pool.query(
        `UPDATE calendar_connections SET status = 'connected', refresh_token = $3, last_error = NULL
          WHERE id = $1 AND provider = $2`,
        [id, provider, token],
      );
      return rowCount === 1
        ? { connected: true }
        : reply.code(404).send({ error: 'there is no such connection' });
    },
  );
}

export async function readConnections(pool: Pool): Promise<object[]> {
  const { rows } = await pool.query<object>(
    `SELECT c.id::text, hosts.name AS host, provider, status, last_sync_at AS "lastSyncAt", c.last_error AS "lastError",
            (SELECT count(*)::int FROM calendar_writebacks w WHERE w.connection_id = c.id AND w.status = 'pending') AS "writebackPending"
       FROM calendar_connections c JOIN hosts ON hosts.id = host_id ORDER BY c.id`,
  );
  return rows;
}

const connected = async (pool: Pool, provider?: Provider): Promise<Connection[]> =>
  (
    await pool.query<Connection>(
      `SELECT id::text, provider, refresh_token AS token FROM calendar_connections
        WHERE status = 'connected' AND ($1::text IS NULL OR provider = $1) ORDER BY id`,
      [provider ?? null],
    )
  ).rows;

/** Every connection of a provider, one after the other; one that fails keeps no other from it. */
export async function sync(
  pool: Pool,
  clients: Record<Provider, CalendarClient>,
  provider: Provider,
): Promise<{ synced: number; failed: number }> {
  const all = await connected(pool, provider);
  let synced = 0;
  for (const one of all) if (await syncOne(pool, clients[provider], one)) synced += 1;
  return { synced, failed: all.length - synced };
}

async function syncOne(pool: Pool, client: CalendarClient, { id, token }: Connection): Promise<boolean> {
  try {
    const from = new Date();
    const to = new Date(from.getTime() + HORIZON_DAYS * DAY_MS);
    const events = await client.list(await client.refresh(token), from.toISOString(), to.toISOString());
    // One statement: nobody ever sees half of it. What we have entered there ourselves takes its time here already.
    await pool.query(
      `WITH busy AS (
         SELECT * FROM jsonb_to_recordset($2) AS event(id text, start timestamptz, "end" timestamptz)
          WHERE NOT EXISTS (SELECT FROM calendar_writebacks WHERE connection_id = $1 AND external_id = event.id)),
       gone AS (
         DELETE FROM calendar_events WHERE connection_id = $1 AND (external_id, starts_at, ends_at) NOT IN (SELECT * FROM busy)),
       new AS (
         INSERT INTO calendar_events SELECT $1, busy.* FROM busy
          WHERE busy.id NOT IN (SELECT external_id FROM calendar_events WHERE connection_id = $1))
       UPDATE calendar_connections SET last_sync_at = now(), last_error = NULL WHERE id = $1`,
      [id, JSON.stringify(events)],
    );
    return true;
  } catch (error) {
    await note(pool, id, error);
    return false;
  }
}

async function note(pool: Pool, id: string, error: unknown): Promise<void> {
  const { message } = error as Error;
  if (error instanceof Unauthorized) await pool.query(EXPIRE, [id, message]);
  else await pool.query('UPDATE calendar_connections SET last_error = $2 WHERE id = $1', [id, message]);
}

interface Writeback {
  id: string;
  action: 'create' | 'delete';
  booking: string;
  start: Date;
  end: Date;
  external: string | null;
}

/** At most ten of each connection, the oldest first; the first that fails ends the round of its connection. */
export async function writeBack(
  pool: Pool,
  clients: Record<Provider, CalendarClient>,
): Promise<{ written: number }> {
  let written = 0;
  for (const one of await connected(pool)) {
    try {
      written += await writeBackOne(pool, clients[one.provider], one);
    } catch (error) {
      await note(pool, one.id, error);
    }
  }
  return { written };
}

async function writeBackOne(pool: Pool, client: CalendarClient, { id, token }: Connection): Promise<number> {
  const { rows } = await pool.query<Writeback>(
    `SELECT w.id::text, action, b.id AS booking, b.starts_at AS start, b.ends_at AS "end",
            (SELECT external_id FROM calendar_writebacks made
              WHERE made.connection_id = w.connection_id AND made.booking_id = b.id AND made.action = 'create') AS external
       FROM calendar_writebacks w JOIN bookings b ON b.id = booking_id
      WHERE connection_id = $1 AND w.status = 'pending' ORDER BY w.id LIMIT ${ROUND}`,
    [id],
  );
  if (rows.length === 0) return 0;
  const access = await client.refresh(token);
  const entered = new Map<string, string>();
  for (const { id: writeback, action, booking, start, end, external } of rows) {
    let name = external ?? entered.get(booking) ?? null;
    if (action === 'create') {
      const event = {
        id: `apt${booking.replaceAll('-', '')}`,
        start: start.toISOString(),
        end: end.toISOString(),
      };
      name = await client.insert(access, event);
      entered.set(booking, name);
    } else if (name !== null) await client.remove(access, name);
    await pool.query(`UPDATE calendar_writebacks SET status = 'done', external_id = $2 WHERE id = $1`, [
      writeback,
      name,
    ]);
  }
  return rows.length;
}
