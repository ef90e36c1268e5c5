import { Worker } from 'node:worker_threads';

/** Whatever burdens an example ends by itself, so that nobody has to remember it. */
const LASTS_MS = 600_000;
const MAX_SECONDS = 4;
const TICK_MS = 100;
const LEAK_BYTES_A_MS = 3_000;
const MAX_LEAKED = 450_000_000;

/** A thread of its own: what else the process does goes on. */
const BUSY = `
const { parentPort } = require('node:worker_threads');
parentPort.on('message', ({ ms, answer }) => {
  for (const until = performance.now() + ms; performance.now() < until;);
  if (answer) parentPort.postMessage('done');
});`;

export interface LoadSwitches {
  /** That a request keeps a processor busy. */
  loadSeconds: number;
  /** Milliseconds since 1970; 0: not at all. */
  busySince: number;
  runawaySince: number;
  leakSince: number;
  /** That share the work. */
  instances: number;
}

export const NO_LOAD: LoadSwitches = {
  loadSeconds: 0,
  busySince: 0,
  runawaySince: 0,
  leakSince: 0,
  instances: 1,
};

export interface Load {
  /** What one request costs. */
  carry: () => Promise<void>;
  /** A restart ends what ran away, and frees what leaked. */
  restart: () => void;
  stop: () => Promise<void>;
}

/** Keeps a processor busy and memory full as far as that is switched, the processor the less the more instances share it. */
export function createLoad(switches: () => LoadSwitches): Load {
  let last = { seconds: 0, since: 0 };
  let restartedAt = 0;
  let leaked: Buffer[] = [];
  let leakedBytes = 0;
  let tickedAt = Date.now();
  let thread: Worker | undefined;
  const waiting: (() => void)[] = [];
  const burn = (ms: number, answer: boolean): void => {
    thread ??= startThread(() => waiting.shift()?.());
    thread.postMessage({ ms: ms / Math.max(1, switches().instances), answer });
  };
  const lasts = (since: number): boolean => since > restartedAt && Date.now() - since < LASTS_MS;
  const tick = (): void => {
    const { busySince, runawaySince, leakSince } = switches();
    if (Date.now() - busySince < LASTS_MS) burn(0.95 * TICK_MS, false);
    // More instances have one each.
    if (lasts(runawaySince)) burn(TICK_MS * Math.max(1, switches().instances), false);
    // By the clock: a busy machine must not make it any slower.
    const sinceMs = Date.now() - tickedAt;
    tickedAt += sinceMs;
    if (lasts(leakSince)) leak(sinceMs * LEAK_BYTES_A_MS);
    else free();
  };
  const leak = (bytes: number): void => {
    if (leakedBytes >= MAX_LEAKED) return;
    leaked.push(Buffer.alloc(Math.min(bytes, MAX_LEAKED - leakedBytes), 1));
    leakedBytes += bytes;
  };
  const free = (): void => {
    leaked = [];
    leakedBytes = 0;
  };
  const timer = setInterval(tick, TICK_MS);
  timer.unref();
  return {
    carry: async () => {
      const { loadSeconds } = switches();
      if (loadSeconds !== last.seconds) last = { seconds: loadSeconds, since: Date.now() };
      if (loadSeconds <= 0 || Date.now() - last.since > LASTS_MS) return;
      burn(Math.min(loadSeconds, MAX_SECONDS) * 1_000, true);
      await new Promise<void>((resolve) => waiting.push(resolve));
    },
    restart: () => {
      restartedAt = Date.now();
      free();
    },
    stop: async () => {
      clearInterval(timer);
      await thread?.terminate();
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}

function startThread(done: () => void): Worker {
  const thread = new Worker(BUSY, { eval: true });
  thread.unref();
  return thread.on('message', done);
}
