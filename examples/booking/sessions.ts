import type { FastifyInstance } from 'fastify';
import { Counter, type Registry } from 'prom-client';
import { sameText } from '../shared/secrets';
import { isForged, readKeys, signSession, subjectOf } from './keys';

/** Sessions of people, signed with the key in use; those of every accepted key go on. */
export function addSessions(
  server: FastifyInstance,
  directory: string,
  operationsToken: string,
  registers: Registry[],
): void {
  const forged = new Counter({
    name: 'booking_forged_sessions_total',
    help: 'Sessions that name a key of ours, and were not signed with it.',
    registers,
  });
  server.post<{ Body: { subject: string } }>(
    '/api/sessions',
    {
      schema: {
        body: {
          type: 'object',
          required: ['subject'],
          properties: { subject: { type: 'string', minLength: 1, maxLength: 100 } },
        },
      },
    },
    async ({ headers, body: { subject } }, reply) => {
      if (!sameText(headers.authorization ?? '', `Bearer ${operationsToken}`))
        return reply.code(401).send({ error: 'a bearer token is needed' });
      const active = readKeys(directory).find(({ state }) => state === 'active');
      if (active === undefined) return reply.code(503).send({ error: 'no key is in use' });
      return reply.code(201).send({ token: signSession(active, subject) });
    },
  );
  server.get('/api/session', async ({ headers }, reply) => {
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
    const subject = subjectOf(directory, token);
    if (subject === undefined && isForged(directory, token)) forged.inc();
    return subject === undefined ? reply.code(401).send({ error: 'sign in again' }) : { subject };
  });
}
