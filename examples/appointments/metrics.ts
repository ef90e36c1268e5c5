/** GET /metrics for Prometheus: what guests and hosts would notice. No sample of what the database knows while it is away. */
import type { FastifyInstance } from 'fastify';
import type { Pool } from 'pg';
import { Counter, Gauge, Registry } from 'prom-client';

/** What nobody sends again by itself counts as overdue after this time. */
const OVERDUE_SECONDS = 10;

interface Found {
  offered: number;
  overdue: number;
  emails: number;
  writebacks: number;
}

const LATE = `SELECT
  (SELECT count(*)::int FROM webhook_deliveries WHERE status = 'pending' AND attempts > 0
      AND next_attempt_at <= now() - interval '${OVERDUE_SECONDS} s') AS overdue,
  (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
     FROM email_outbox WHERE status = 'pending') AS emails,
  (SELECT coalesce(extract(epoch FROM now() - min(w.created_at)), 0)::float8
     FROM calendar_writebacks w JOIN calendar_connections c ON c.id = connection_id
    WHERE w.status = 'pending' AND c.status = 'connected') AS writebacks`;

const CONNECTIONS = `SELECT provider, status, count(*)::int AS count, extract(epoch FROM min(last_sync_at))::float8 AS "lastSync"
  FROM calendar_connections GROUP BY provider, status`;

/** Returns how to count an attempt to book. */
export function addMetrics(
  server: FastifyInstance,
  { pool, countSlots }: { pool: Pool; countSlots: () => Promise<number> },
): (status: number) => void {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `appointments_${name}`, help, labelNames, registers });
  const creates = new Counter({
    name: 'appointments_booking_creates_total',
    help: 'Attempts to book: ok, refused (the time is not free), failed (our fault).',
    labelNames: ['result'],
    registers,
  });
  const up = gauge('database_up', '1 where the application has a connection to its database, else 0.');
  const offered = gauge('slots_offered', 'Half hours that all hosts offer in the next seven days.');
  const overdue = gauge(
    'webhook_deliveries_overdue',
    'Webhooks that failed, are due again, and were not sent.',
  );
  const emails = gauge(
    'emails_oldest_pending_seconds',
    'Age of the oldest e-mail that was not sent; 0: none.',
  );
  const writebacks = gauge(
    'calendar_writebacks_oldest_pending_seconds',
    'Age of the oldest change that no connected calendar has yet; 0: none.',
  );
  const connections = gauge('calendar_connections', 'Calendars of hosts.', ['provider', 'status']);
  const synced = gauge(
    'calendar_last_sync_timestamp_seconds',
    'When the connected calendar that is furthest behind was read.',
    ['provider'],
  );
  const read = async (): Promise<void> => {
    const { rows } = await pool.query<Found>(LATE);
    const [found] = rows;
    offered.set(await countSlots());
    overdue.set(found!.overdue);
    emails.set(found!.emails);
    writebacks.set(found!.writebacks);
    const groups = await pool.query<{
      provider: string;
      status: string;
      count: number;
      lastSync: number | null;
    }>(CONNECTIONS);
    connections.reset();
    synced.reset();
    for (const { provider, status, count, lastSync } of groups.rows) {
      connections.set({ provider, status }, count);
      if (status === 'connected' && lastSync !== null) synced.set({ provider }, lastSync);
    }
  };
  server.get('/metrics', async (_request, reply) => {
    const isUp = await read().then(
      () => true,
      () => false,
    );
    if (!isUp) {
      for (const one of [offered, overdue, emails, writebacks]) one.remove();
      connections.reset();
      synced.reset();
    }
    up.set(isUp ? 1 : 0);
    return reply.type(registry.contentType).send(await registry.metrics());
  });
  return (status) => creates.inc({ result: status < 300 ? 'ok' : status < 500 ? 'refused' : 'failed' });
}
