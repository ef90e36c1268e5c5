import { Worker } from 'node:worker_threads';
import type { Running } from './running';

const LASTS_MS = 600_000;
const MAX_SECONDS = 4;

/** A thread of its own: what else the process does goes on. */
const BUSY = `
const { parentPort } = require('node:worker_threads');
parentPort.on('message', (ms) => {
  for (const until = performance.now() + ms; performance.now() < until;);
  parentPort.postMessage('done');
});`;

export interface Load {
  /** What one search costs. */
  carry: () => Promise<void>;
  stop: () => Promise<void>;
}

/** Keeps a processor busy for each search, the less the more instances share it. It ends by itself after ten minutes. */
export function createLoad(switches: () => Running['switches']): Load {
  let last = { seconds: 0, since: 0 };
  let thread: Worker | undefined;
  const waiting: (() => void)[] = [];
  const start = (): Worker => {
    const started = new Worker(BUSY, { eval: true });
    started.unref();
    return started.on('message', () => waiting.shift()?.());
  };
  return {
    carry: async () => {
      const { loadSeconds, instances } = switches();
      if (loadSeconds !== last.seconds) last = { seconds: loadSeconds, since: Date.now() };
      if (loadSeconds <= 0 || Date.now() - last.since > LASTS_MS) return;
      thread ??= start();
      thread.postMessage((Math.min(loadSeconds, MAX_SECONDS) * 1_000) / Math.max(1, instances));
      await new Promise<void>((resolve) => waiting.push(resolve));
    },
    stop: async () => {
      await thread?.terminate();
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}
