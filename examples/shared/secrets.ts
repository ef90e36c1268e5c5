import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { onRequestAsyncHookHandler } from 'fastify';

/** A password or token. Made anew at each start, and kept in no file but the environment's. */
export function newSecret(): string {
  return randomBytes(24).toString('base64url');
}

/** In constant time, whatever the lengths. */
export function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/** For `onRequest`: whoever lacks the token is refused. */
export function requireBearer(token: string): onRequestAsyncHookHandler {
  return async (request, reply) => {
    if (!sameText(request.headers.authorization ?? '', `Bearer ${token}`))
      await reply.code(401).send({ error: 'a bearer token is needed' });
  };
}
