/** Confirmations and cancellations: written in the transaction of the booking, sent afterwards, as often as it takes. */
import type { Pool } from 'pg';
import { fetch } from 'undici';
import { tokenFor } from './bookings';

const ROUND = 20;
const TIMEOUT_MS = 3_000;

interface Waiting {
  id: string;
  booking: string;
  kind: 'confirmation' | 'cancellation';
  recipient: string;
  start: Date;
}

/** Sends the oldest that wait. The first that is not taken ends the round: the next one begins with it. */
export async function sendEmails(
  pool: Pool,
  { mailUrl, appUrl, linkKey }: { mailUrl: string; appUrl: string; linkKey: string },
): Promise<void> {
  const { rows } = await pool.query<Waiting>(
    `SELECT o.id::text, b.id AS booking, kind, recipient, b.starts_at AS start
       FROM email_outbox o JOIN bookings b ON b.id = booking_id WHERE o.status = 'pending' ORDER BY o.id LIMIT ${ROUND}`,
  );
  for (const { id, booking, kind, recipient, start } of rows) {
    const when = start.toISOString();
    const link = `${appUrl}/v0/bookings/actions/${tokenFor(linkKey, booking)}/cancel`;
    const body =
      kind === 'confirmation'
        ? { to: recipient, subject: `Confirmed: ${when}`, text: `To cancel: ${link}` }
        : { to: recipient, subject: `Cancelled: ${when}`, text: 'This appointment was cancelled.' };
    const error = await send(mailUrl, id, body);
    await pool.query(
      `UPDATE email_outbox SET last_error = $2, status = CASE WHEN $2::text IS NULL THEN 'sent' ELSE status END,
              sent_at = CASE WHEN $2::text IS NULL THEN now() END WHERE id = $1`,
      [id, error],
    );
    if (error !== null) return;
  }
}

async function send(mailUrl: string, id: string, body: object): Promise<string | null> {
  try {
    const answer = await fetch(`${mailUrl}/emails`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': `outbox-${id}` },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await answer.arrayBuffer();
    return answer.ok ? null : `HTTP ${answer.status}`;
  } catch (error) {
    return (error as Error).message;
  }
}
