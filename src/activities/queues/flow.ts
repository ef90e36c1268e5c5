import type { Redis } from 'ioredis';

/** What went through a queue within a window, by the events that BullMQ keeps of it. */
export interface Flow {
  /** Shorter than asked for where older events are gone. */
  windowMs: number;
  /** New jobs. */
  came: number;
  completed: number;
  /** Failed for good. */
  failed: number;
}

const MAX_EVENTS = 20_000;
const PAGE = 2_000;
/** Fewer events, in a shorter time, say nothing about a rate. */
const LEAST_WINDOW_MS = 500;

/** Undefined where the events do not say: the queue keeps none, or none of this time. */
export async function readFlow(redis: Redis, events: string, windowMs: number): Promise<Flow | undefined> {
  const [seconds, micros] = await redis.time();
  const now = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  const since = now - windowMs;
  const [first] = await redis.xrange(events, '-', '+', 'COUNT', 1);
  if (first === undefined) return undefined;
  const flow = { came: 0, completed: 0, failed: 0 };
  let [end, read, oldest] = ['+', 0, now];
  while (read < MAX_EVENTS) {
    const page = await redis.xrevrange(events, end, String(since), 'COUNT', PAGE);
    for (const [id, fields] of page) {
      oldest = timeOf(id);
      const event = fields[fields.indexOf('event') + 1];
      if (event === 'added') flow.came += 1;
      else if (event === 'completed') flow.completed += 1;
      else if (event === 'failed') flow.failed += 1;
    }
    read += page.length;
    if (page.length < PAGE) break;
    end = `(${page.at(-1)![0]}`;
  }
  const all = read < MAX_EVENTS && (timeOf(first[0]) <= since || (await hasAll(redis, events)));
  const covered = all ? windowMs : now - Math.min(oldest, Math.max(timeOf(first[0]), since));
  return covered < LEAST_WINDOW_MS ? undefined : { windowMs: covered, ...flow };
}

/** Whether none of its events was ever taken out. Redis tells since version 7. */
async function hasAll(redis: Redis, events: string): Promise<boolean> {
  const told = (await redis.xinfo('STREAM', events)) as unknown[];
  const field = (name: string) => told[told.indexOf(name) + 1];
  return told.includes('entries-added') && field('entries-added') === field('length');
}

function timeOf(id: string): number {
  return Number(id.split('-')[0]);
}

/** The newest event of a queue, which only ever grows; null where it has none. */
export async function newestEvent(redis: Redis, events: string): Promise<string | null> {
  const [newest] = await redis.xrevrange(events, '+', '-', 'COUNT', 1);
  return newest?.[0] ?? null;
}

/** Redis, or the queue in it, is as it was before that event: what came since is lost. */
export function isEarlier(id: string | null, than: string | null): boolean {
  if (than === null) return false;
  if (id === null) return true;
  const [ms = 0, nth = 0] = id.split('-').map(Number);
  const [thanMs = 0, thanNth = 0] = than.split('-').map(Number);
  return ms < thanMs || (ms === thanMs && nth < thanNth);
}
