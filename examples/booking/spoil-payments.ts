/** Payments that disagree with their provider, as lost and repeated webhooks leave them. Needs the rights of the owner. */
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { readProviderState, setIntents, type Intent } from './payment-provider';

export interface SpoiltPayments {
  booking: string;
  /** The first one, and the one that is wrong. */
  payments: string[];
}

interface FoundPayment {
  id: string;
  booking: string;
  ref: string;
  amount: number;
  currency: string;
}

/** The provider took the money, and the application never heard of it. */
export function loseWebhook(databaseUrl: string, directory: string): Promise<SpoiltPayments> {
  return spoil(databaseUrl, directory, async (client, paid) => {
    await client.query(`UPDATE payments SET status = 'failed', webhook_payload_hash = NULL WHERE id = $1`, [
      paid.id,
    ]);
    setIntents(directory, { [paid.ref]: taken(paid) });
    return { booking: paid.booking, payments: [paid.id] };
  });
}

/** The customer paid a second time, because the first answer was lost. */
export function chargeTwice(databaseUrl: string, directory: string): Promise<SpoiltPayments> {
  return spoil(databaseUrl, directory, async (client, paid) => {
    const again = { ...paid, id: randomUUID(), ref: `pi_again_${randomUUID()}` };
    await client.query(
      `INSERT INTO payments (id, booking_id, provider, provider_ref, status, amount_cents, currency, webhook_payload_hash, created_at)
       SELECT $2, booking_id, provider, $3, status, amount_cents, currency, encode(sha256($3::text::bytea), 'hex'), created_at + interval '1 minute'
         FROM payments WHERE id = $1`,
      [paid.id, again.id, again.ref],
    );
    setIntents(directory, { [paid.ref]: taken(paid), [again.ref]: taken(again) });
    return { booking: paid.booking, payments: [paid.id, again.id] };
  });
}

function taken({ amount, currency }: FoundPayment): Intent {
  return { status: 'succeeded', amount, currency: currency.toLowerCase(), refunded: 0 };
}

/** Of the oldest booking that nobody has spoilt before: customers leave it alone. */
async function spoil(
  connectionString: string,
  directory: string,
  change: (client: Client, paid: FoundPayment) => Promise<SpoiltPayments>,
): Promise<SpoiltPayments> {
  const client = new Client({ connectionString, application_name: 'booking-trouble' });
  await client.connect();
  try {
    const { rows } = await client.query<FoundPayment>(
      `SELECT p.id::text, p.booking_id::text AS booking, p.provider_ref AS ref, p.amount_cents AS amount, p.currency
         FROM payments p JOIN bookings b ON b.id = p.booking_id
        WHERE p.provider = 'stripe' AND p.status = 'succeeded' AND p.amount_cents > 0 AND b.status = 'confirmed'
          AND (SELECT count(*) FROM payments other WHERE other.booking_id = p.booking_id) = 1
          AND p.provider_ref <> ALL ($1)
        ORDER BY b.created_at, p.id LIMIT 1`,
      [Object.keys(readProviderState(directory).intents)],
    );
    const [paid] = rows;
    if (paid === undefined) throw new Error('no booking of the sample was paid through stripe');
    return await change(client, paid);
  } finally {
    await client.end();
  }
}
