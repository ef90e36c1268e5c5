/** Events of the payment provider: each is kept, and applied once. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { PoolClient } from 'pg';
import { Refusal, type Store } from './store';

export interface PaymentEvent {
  id: string;
  type: string;
  booking?: string;
  amountCents?: number;
}

/** As the provider signs the body of an event. */
export const signEvent = (secret: string, body: string): string =>
  createHmac('sha256', secret).update(body).digest('hex');

function eventOf(body: string): PaymentEvent {
  try {
    const { id, type, ...data } = JSON.parse(body) as PaymentEvent;
    if (typeof id === 'string' && typeof type === 'string') return { id, type, ...data };
  } catch {
    // Said below.
  }
  throw new Refusal(400, 'that is no event');
}

const PROVIDER_SHARE = 0.85;

// One that failed counts as never seen once it comes with a good signature.
const INSERT = `
  INSERT INTO webhook_events ("eventId", type, body, signature, "payloadHash", status, "lastError")
  VALUES ($1, $2, $3, $4, $5, $6, $7)
  ON CONFLICT ("eventId") DO UPDATE SET body = excluded.body, signature = excluded.signature,
    "payloadHash" = excluded."payloadHash", status = excluded.status, "lastError" = NULL
  WHERE webhook_events.status = 'failed' AND excluded.status = 'processed'`;

export type Payments = ReturnType<typeof createPayments>;

export function createPayments(store: Store, secret: () => string) {
  function verify(body: string, signature: string): void {
    const [wanted, given] = [Buffer.from(signEvent(secret(), body)), Buffer.from(signature)];
    if (wanted.length !== given.length || !timingSafeEqual(wanted, given))
      throw new Refusal(401, 'the signature does not match');
  }

  async function apply(client: PoolClient, { id, type, booking, amountCents }: PaymentEvent): Promise<void> {
    if (type !== 'payment.succeeded') return;
    await client.query(
      `INSERT INTO ledger_entries ("eventId", "bookingId", "amountCents") VALUES ($1, $2, $3)`,
      [id, booking, amountCents],
    );
    await client.query(
      `INSERT INTO payout_jobs ("bookingId", "amountCents", "runAt") VALUES ($1, $2, now() + interval '7 days')`,
      [booking, Math.round((amountCents ?? 0) * PROVIDER_SHARE)],
    );
  }

  return {
    /**
     * Keeps what could not be applied, with the reason: it is replayed when that is mended. Anybody can send such events; a service of
     * one's own lets only the addresses of its provider through.
     */
    async take(body: string, signature: string): Promise<void> {
      const event = eventOf(body);
      // Means nothing, and leaves nothing behind.
      if (event.type === 'runbooks.probe') return verify(body, signature);
      const hash = createHash('sha256').update(body).digest('hex');
      const record = (status: string, error: string | null) =>
        [event.id, event.type, body, signature, hash, status, error] as const;
      try {
        verify(body, signature);
        await store.transaction(async (client) => {
          const { rowCount } = await client.query(INSERT, [...record('processed', null)]);
          if (rowCount === 1) await apply(client, event);
        });
      } catch (error) {
        await store.query(INSERT, [...record('failed', (error as Error).message)]);
        throw error;
      }
    },

    /** Applies an event of the log; does nothing where that was done. */
    replay: (id: string): Promise<void> =>
      store.transaction(async (client) => {
        const { rows } = await client.query<{ body: string; signature: string; status: string }>(
          'SELECT body, signature, status FROM webhook_events WHERE id = $1 FOR UPDATE',
          [id],
        );
        const [found] = rows;
        if (found === undefined) throw new Refusal(404, 'there is no such event');
        if (found.status === 'processed') return;
        verify(found.body, found.signature);
        await apply(client, JSON.parse(found.body) as PaymentEvent);
        await client.query(
          `UPDATE webhook_events SET status = 'processed', "lastError" = NULL WHERE id = $1`,
          [id],
        );
      }),
  };
}
