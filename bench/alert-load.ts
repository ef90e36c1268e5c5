import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';

/** What came back for one alert. */
export interface Answer {
  status: number;
  /** From the moment at which it was due, so that a generator that lags does not make it look faster. */
  latencyMs: number;
}

export interface Target {
  url: string;
  token: string;
}

const CONNECTIONS = 64;

/** Sends alerts to an intake as fast as is said, whatever the answers take, and returns every answer. */
export async function sendAtRate(
  target: Target,
  perSecond: number,
  seconds: number,
  fingerprintOf: (index: number) => string,
): Promise<Answer[]> {
  const pool = new Pool(new URL(target.url).origin, { connections: CONNECTIONS });
  const startedAt = performance.now();
  const answers: Promise<Answer>[] = [];
  for (let index = 0; index < perSecond * seconds; index += 1) {
    const dueAt = startedAt + (index * 1_000) / perSecond;
    const early = dueAt - performance.now();
    if (early > 1) await sleep(early);
    answers.push(send(pool, target, fingerprintOf(index), dueAt));
  }
  const all = await Promise.all(answers);
  await pool.close();
  return all;
}

/** Keeps `atOnce` alerts on their way for so many seconds, or until `total` were sent. */
export async function sendSteadily(
  target: Target,
  atOnce: number,
  until: { seconds?: number; total?: number },
  fingerprintOf: (index: number) => string,
): Promise<{ answers: Answer[]; seconds: number }> {
  const pool = new Pool(new URL(target.url).origin, { connections: atOnce });
  const startedAt = performance.now();
  const { seconds = Infinity, total = Infinity } = until;
  const answers: Answer[] = [];
  let next = 0;
  const sender = async (): Promise<void> => {
    while (next < total && performance.now() - startedAt < seconds * 1_000) {
      const index = next;
      next += 1;
      answers.push(await send(pool, target, fingerprintOf(index), performance.now()));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, sender));
  await pool.close();
  return { answers, seconds: (performance.now() - startedAt) / 1_000 };
}

async function send(pool: Pool, target: Target, fingerprint: string, dueAt: number): Promise<Answer> {
  const { statusCode, body } = await pool.request({
    method: 'POST',
    path: new URL(target.url).pathname,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${target.token}` },
    body: JSON.stringify({
      id: fingerprint,
      since: STARTED_AT,
      state: 'firing',
      title: `alert ${fingerprint}`,
    }),
  });
  await body.dump();
  return { status: statusCode, latencyMs: performance.now() - dueAt };
}

const STARTED_AT = new Date().toISOString();
