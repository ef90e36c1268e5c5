/** Plays everybody who listens to webhooks, i.e. every host below example.com, on the loopback address. */
import { createHash, createHmac } from 'node:crypto';
import fastify from 'fastify';
import type { ReceiverMood } from './receiver-moods';
import { sameText } from './secrets';

/** What came, whatever was answered. */
export interface ReceivedEvent {
  host: string;
  delivery: string;
  event: string;
  status: number;
}

export interface Receiver {
  url: string;
  received: () => ReceivedEvent[];
  stop: () => Promise<void>;
}

const KEPT = 1_000;
const SLOW_MS = 60_000;
const BUSY_SECONDS = 1;

/** What a service calls the headers of its webhooks. */
export const headersOf = (service: string) => ({
  signature: `x-${service}-signature`,
  delivery: `x-${service}-delivery`,
  event: `x-${service}-event`,
});

export function signatureOf(key: Buffer, body: string): string {
  return `sha256=${createHmac('sha256', key).update(body).digest('hex')}`;
}

/** Starts it. Its paths begin with the host that is played. */
export async function startReceiver({
  service,
  mood: moodNow,
}: {
  service: string;
  mood: () => ReceiverMood;
}): Promise<Receiver> {
  const events: ReceivedEvent[] = [];
  const names = headersOf(service);
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) =>
    done(null, body),
  );
  server.get('/', () => ({ mood: moodNow() }));
  server.post<{ Params: { host: string }; Body: string }>('/:host/bookings', async (request, reply) => {
    const mood = moodNow();
    const { host } = request.params;
    if (mood === 'slow') await pause(SLOW_MS, reply.raw);
    const key = secretOf(host, mood);
    const signed = sameText(String(request.headers[names.signature]), signatureOf(key, request.body));
    const status = signed ? STATUS[mood] : 401;
    events.push({
      host,
      delivery: String(request.headers[names.delivery]),
      event: String(request.headers[names.event]),
      status,
    });
    events.splice(0, events.length - KEPT);
    if (status === 429) void reply.header('retry-after', String(BUSY_SECONDS));
    return reply.code(status).send({ taken: status < 300 });
  });
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  return { url, received: () => [...events], stop: () => server.close() };
}

const STATUS: Record<ReceiverMood, number> = {
  well: 200,
  broken: 503,
  slow: 200,
  gone: 410,
  busy: 429,
  rotated: 200,
};

/** What it was given when it signed up; it keeps, like the application, only the hash. */
function secretOf(host: string, mood: ReceiverMood): Buffer {
  const id = /^hooks\.[a-z]+-(\d+)\./.exec(host)?.[1] ?? '';
  return createHash('sha256')
    .update(mood === 'rotated' ? `another-${id}` : `hook${id}`)
    .digest();
}

/** Until then, or until whoever asked has gone. */
function pause(ms: number, answer: NodeJS.EventEmitter): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    timer.unref();
    answer.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
