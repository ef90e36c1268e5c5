import type { Redis } from 'ioredis';
import { fail } from '../support/failure';
import type { FailedJob } from './failures';
import { RETRIED_SECONDS } from './marks';
import type { OpenQueue } from './redis';

/** A failed job that is to be retried, and what is noted of it. */
export interface Chosen extends FailedJob {
  note: string;
}

/** Keys that BullMQ's script takes: another number means another script. */
const KEYS_OF_ITS_OWN = 9;

/**
 * Notes and retries jobs in one script, so that a page costs one answer instead of one for each job. Each is retried by
 * what BullMQ runs for one, as it has registered it on this connection. A note comes first and goes where nothing was
 * retried: whatever stops the script, no job is retried without one. Returns those that were not retried because they
 * no longer have the failure that was read: somebody else has retried them, or taken them out. What an attempt before,
 * whose answer was lost, has noted and retried meanwhile is none of those.
 */
export async function retryNoted(
  { redis, queue, title }: OpenQueue,
  notesKey: string,
  jobs: Chosen[],
): Promise<string[]> {
  if (jobs.length === 0) return [];
  await queue.waitUntilReady();
  const key = (name: string) => queue.toKey(name);
  const keys = [
    ...[key('events'), key('failed'), key('wait'), key('meta'), key('active'), key('marker')],
    ...[key('prioritized'), key('pc'), notesKey],
  ];
  const args = jobs.flatMap(({ id, finishedOn, note, opts }) => [id, finishedOn, note, pushOf(opts)]);
  const script = scriptOf(reprocessOf(redis, title));
  return (await redis.eval(script, keys.length, ...keys, key(''), RETRIED_SECONDS, ...args)) as string[];
}

function pushOf(opts: string | undefined): string {
  const { lifo } = JSON.parse(opts ?? '{}') as { lifo?: boolean };
  return lifo === true ? 'RPUSH' : 'LPUSH';
}

function reprocessOf(redis: Redis, title: string): string {
  const { scriptsSet } = redis as unknown as {
    scriptsSet: Record<string, { lua: string; numberOfKeys: number }>;
  };
  const found = Object.entries(scriptsSet).find(([name]) => name.startsWith('reprocessJob:'))?.[1];
  if (found?.numberOfKeys === KEYS_OF_ITS_OWN) return found.lua;
  throw fail(
    'QueueVersionUnknown',
    `The version of BullMQ that the worker has retries jobs in a way that is not known here. Nothing of ${title} was retried. Install the version that this package names.`,
  );
}

function scriptOf(reprocess: string): string {
  return `
local function reprocess(KEYS, ARGV)
${reprocess}
end
local events, failed, wait, meta, active, marker, prioritized, pc, notes = unpack(KEYS)
local base, seconds = ARGV[1], ARGV[2]
local gone = {}
for i = 3, #ARGV, 4 do
  local id, finishedOn, note, push = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if redis.call('ZSCORE', failed, id) == finishedOn then
    redis.call('HSET', notes, id, note)
    local done = reprocess({ base .. id, events, failed, wait, meta, active, marker, prioritized, pc },
      { id, push, 'failedReason', 'failed', '0', '0' })
    if done ~= 1 then
      redis.call('HDEL', notes, id)
      gone[#gone + 1] = id
    end
  elseif redis.call('HGET', notes, id) ~= note then
    gone[#gone + 1] = id
  end
end
redis.call('EXPIRE', notes, seconds)
return gone
`;
}
