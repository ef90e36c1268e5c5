/** Plays a provider of e-mail with an HTTP interface, on the loopback address. It sends nothing to anybody. */
import fastify from 'fastify';

export interface Mail {
  to: string;
  subject: string;
  text: string;
}

export interface MailServer {
  url: string;
  /** The newest thousand. */
  sent: () => Mail[];
  stop: () => Promise<void>;
}

const KEPT = 1_000;

/** `POST /emails` with an `Idempotency-Key`: the same key again sends nothing more. */
export async function startMail({ mood }: { mood: () => 'well' | 'down' }): Promise<MailServer> {
  const sent = new Map<string, Mail>();
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.post<{ Body: Mail; Headers: { 'idempotency-key': string } }>(
    '/emails',
    async ({ body, headers }, reply) => {
      if (mood() === 'down') return reply.code(503).send({ error: 'temporarily unavailable' });
      const key = headers['idempotency-key'];
      sent.set(key, body);
      const [oldest] = sent.keys();
      if (sent.size > KEPT && oldest !== undefined) sent.delete(oldest);
      return { id: key };
    },
  );
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  return { url, sent: () => [...sent.values()], stop: () => server.close() };
}
