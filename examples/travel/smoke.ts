/**
 * Smoke program: quote, hold and confirm in the database of DATABASE_URL, in one transaction that is rolled back. Nothing is sent to
 * anybody: safe on a restored copy, on staging, and on production.
 */
import { Client } from 'pg';

type Row = Record<string, string | number>;

export async function runSmoke(connectionString: string): Promise<string[]> {
  const client = new Client({
    connectionString,
    application_name: 'travel-smoke',
    connectionTimeoutMillis: 10_000,
    statement_timeout: 30_000,
  });
  const done: string[] = [];
  const step = async (name: string, text: string, values: unknown[], otherwise: string): Promise<Row> => {
    const { rows } = await client.query<Row>(text, values).catch((error: Error) => {
      throw new Error(`smoke failed at "${name}": ${error.message}`);
    });
    if (rows[0] === undefined) throw new Error(`smoke failed at "${name}": ${otherwise}`);
    done.push(name);
    return rows[0];
  };
  await client.connect();
  try {
    // Numbers of sequences are not given back: those below none of them gives out.
    await client.query(`BEGIN; INSERT INTO users (id, email, password) OVERRIDING SYSTEM VALUE VALUES (-1, 'smoke@example.invalid', '');
      INSERT INTO inventory_units (id, "packageId", "startsOn", capacity) OVERRIDING SYSTEM VALUE
      SELECT -1, id, '2999-01-01', 1 FROM packages WHERE status = 'published' ORDER BY id LIMIT 1`);
    await step(
      'quote',
      `SELECT "priceCents" FROM packages JOIN inventory_units ON "packageId" = packages.id WHERE inventory_units.id = -1`,
      [],
      'no package is published',
    );
    await step(
      'hold',
      `WITH lock AS (
         INSERT INTO inventory_locks (id, "unitId", units) OVERRIDING SYSTEM VALUE SELECT -1, id, 1 FROM inventory_units WHERE id = -1 AND sold < capacity RETURNING id
       )
       INSERT INTO bookings ("userId", "unitId", "lockId", units, "priceCents", "expiresAt")
       SELECT -1, -1, id, 1, 100, now() + interval '15 minutes' FROM lock RETURNING id`,
      [],
      'a free departure cannot be held',
    );
    await step(
      'confirm',
      `WITH sold AS (UPDATE inventory_units SET sold = sold + 1 WHERE id = -1 AND sold < capacity RETURNING id)
       UPDATE bookings SET status = 'CONFIRMED', "confirmedAt" = now() FROM sold WHERE "unitId" = sold.id AND status = 'HOLD' RETURNING bookings.id`,
      [],
      'a hold cannot be confirmed',
    );
    await step(
      'not twice',
      'SELECT id FROM inventory_units WHERE id = -1 AND sold = capacity',
      [],
      'a departure that is sold out is offered again',
    );
    return done;
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
    await client.end().catch(() => undefined);
  }
}

if (require.main === module) {
  runSmoke(process.env['DATABASE_URL'] ?? '').then(
    (steps) => console.log(`passed: ${steps.join(', ')}`),
    (error: Error) => {
      console.error(error.message);
      process.exitCode = 1;
    },
  );
}
