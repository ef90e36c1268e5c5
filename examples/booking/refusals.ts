import type { FastifyInstance } from 'fastify';
import { requireBearer } from '../shared/secrets';

const MAX_ADDRESSES = 10_000;

/** Counts by address whom the rate limit refuses, and forgets that after the window. */
export function countRefusals(windowSeconds: number): {
  count: (address: string, status: number, booked: boolean) => void;
  read: () => { blocked: { who: string; refused: number; customer: boolean }[]; addresses: number };
} {
  const refused = new Map<string, number[]>();
  const customers = new Set<string>();
  const recent = (times: number[]): number[] => times.filter((at) => at > Date.now() - windowSeconds * 1_000);
  const forget = (): void => {
    for (const [address, times] of refused) {
      const left = recent(times);
      if (left.length === 0) refused.delete(address);
      else refused.set(address, left);
    }
  };
  return {
    count: (address, status, booked) => {
      if (booked && customers.size < MAX_ADDRESSES) customers.add(address);
      if (status !== 429) return;
      if (refused.size >= MAX_ADDRESSES) forget();
      if (refused.size < MAX_ADDRESSES)
        refused.set(address, [...recent(refused.get(address) ?? []), Date.now()]);
    },
    read: () => {
      forget();
      const blocked = [...refused].map(([who, times]) => ({
        who,
        refused: times.length,
        customer: customers.has(who),
      }));
      return {
        blocked: blocked.sort((a, b) => b.refused - a.refused).slice(0, 100),
        addresses: refused.size,
      };
    },
  };
}

/** Whom the limit refuses, for whoever has the token of the operators: addresses are nobody else's business. */
export function addRefusals(
  server: FastifyInstance,
  refusals: ReturnType<typeof countRefusals>,
  token: string,
): void {
  server.get('/api/rate-limit/blocked', { onRequest: requireBearer(token) }, () => refusals.read());
}
