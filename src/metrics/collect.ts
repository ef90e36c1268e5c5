import { within } from '../host/within';
import type { Client } from '@temporalio/client';
import { Gauge, type Registry } from 'prom-client';
import type { Project } from '../catalogue/catalogue';
import { gaugesOf } from './gauges';
import { readSnapshot, type Snapshot } from './snapshot';

export interface CollectOptions {
  /** A scrape within this time of the last reading is answered from it. */
  freshMs?: number;
  /** A scrape waits no longer than this for a reading. */
  waitMs?: number;
  /** A reading is given up after this. */
  readMs?: number;
}

const FRESH_MS = 20_000;
const WAIT_MS = 5_000;
const READ_MS = 8_000;

export interface Collector {
  /** Waits for a reading that is under way, and begins none after that. Call it before the connection is closed. */
  stop(): Promise<void>;
}

/**
 * Registers the gauges over everything that Temporal knows. It is read when somebody scrapes, at most every `freshMs`
 * and never twice at a time. A scrape always answers: with what was read last, and `runbooks_temporal_up` 0, while
 * Temporal does not.
 */
export function collectFromTemporal(
  client: Client,
  config: Project,
  registry: Registry,
  { freshMs = FRESH_MS, waitMs = WAIT_MS, readMs = READ_MS }: CollectOptions = {},
): Collector {
  let stopped = false;
  let snapshot: Snapshot | undefined;
  let up = false;
  let triedMs = -Infinity;
  let reading: Promise<void> | undefined;

  const read = async (): Promise<void> => {
    try {
      snapshot = await client.withDeadline(Date.now() + readMs, () => readSnapshot(client, config, snapshot));
      up = true;
    } catch {
      up = false;
    } finally {
      triedMs = Date.now();
      reading = undefined;
    }
  };
  const current = async (): Promise<void> => {
    if (!stopped && reading === undefined && Date.now() - triedMs >= freshMs) reading = read();
    if (reading === undefined) return;
    const inTime = await within(
      reading.then(() => true),
      waitMs,
      () => false,
    );
    // Slow is as good as down for whoever looks at the numbers.
    if (!inTime) up = false;
  };

  const register = (
    name: string,
    help: string,
    labelNames: string[],
    fill: (gauge: Gauge, nowMs: number) => void,
  ) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        await current();
        this.reset();
        // One without labels would be 0 now, which is a claim about what was not read.
        this.remove({});
        fill(this, Date.now());
      },
    });

  register('runbooks_temporal_up', 'Whether Temporal answers', [], (gauge) => gauge.set(Number(up)));
  register(
    'runbooks_temporal_read_timestamp_seconds',
    'When the gauges were last read from it',
    [],
    (gauge) => gauge.set((snapshot?.atMs ?? 0) / 1_000),
  );
  for (const { name, help, labels, samples } of gaugesOf(config)) {
    register(name, help, labels, (gauge, nowMs) => {
      if (snapshot === undefined) return;
      for (const sample of samples(snapshot, nowMs)) gauge.set(sample.labels, sample.value);
    });
  }
  return {
    stop: async () => {
      stopped = true;
      await reading;
    },
  };
}
