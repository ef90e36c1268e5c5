/** Customers in a process of their own, so that nothing but the database can make them wait. Started with fork(). */
import { Client } from 'pg';

/** What the load tells when it is asked to stop. */
export interface LoadReport {
  queries: number;
  medianMs: number;
  worstMs: number;
  /** Time during which at least one query had been waiting for longer than the threshold. */
  blockedMs: number;
  failed: number;
}

const READERS = 2;
const WRITERS = 2;
const PAUSE_MS = 5;
/** An answer that takes longer than this was held up. */
const THRESHOLD_MS = 50;

interface Wait {
  fromMs: number;
  toMs: number;
}

let stopping = false;
const waits: Wait[] = [];
let failed = 0;

async function customer(url: string, statement: string, ids: string[]): Promise<void> {
  const client = new Client({ connectionString: url, application_name: 'bench-load' });
  await client.connect();
  for (let turn = 0; !stopping; turn += 1) {
    const fromMs = performance.now();
    try {
      await client.query(statement, [ids[turn % ids.length]]);
    } catch {
      failed += 1;
    }
    waits.push({ fromMs, toMs: performance.now() });
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  await client.end();
}

async function someIds(url: string): Promise<string[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ id: string }>('SELECT id FROM bookings ORDER BY id LIMIT 500');
  await client.end();
  return rows.map(({ id }) => id);
}

function reportOf(): LoadReport {
  const lengths = waits.map(({ fromMs, toMs }) => toMs - fromMs).sort((a, b) => a - b);
  return {
    queries: lengths.length,
    medianMs: lengths[Math.floor(lengths.length / 2)] ?? 0,
    worstMs: lengths.at(-1) ?? 0,
    blockedMs: unionMs(waits.filter(({ fromMs, toMs }) => toMs - fromMs > THRESHOLD_MS)),
    failed,
  };
}

function unionMs(intervals: Wait[]): number {
  let total = 0;
  let reached = -Infinity;
  for (const { fromMs, toMs } of [...intervals].sort((a, b) => a.fromMs - b.fromMs)) {
    total += Math.max(0, toMs - Math.max(fromMs, reached));
    reached = Math.max(reached, toMs);
  }
  return total;
}

async function main(url: string): Promise<void> {
  const ids = await someIds(url);
  const read = 'SELECT status, party_size FROM bookings WHERE id = $1';
  const write = 'UPDATE bookings SET party_size = party_size WHERE id = $1';
  const statements = [...Array<string>(READERS).fill(read), ...Array<string>(WRITERS).fill(write)];
  // Different bookings for each, so that they do not wait for one another.
  const customers = statements.map((statement, index) =>
    customer(
      url,
      statement,
      ids.filter((_, at) => at % statements.length === index),
    ),
  );
  process.send?.('running');
  await Promise.all(customers);
  process.send?.(reportOf(), () => process.disconnect());
}

process.once('message', (url: string) => {
  process.on('message', () => (stopping = true));
  void main(url).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
process.once('disconnect', () => process.exit());
