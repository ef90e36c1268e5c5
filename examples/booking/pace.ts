import type { FastifyInstance } from 'fastify';
import type { createInterest } from './interest';
import { keepRecent, quantileOf } from '../shared/recent';

/** How fast customers are answered, and what that depends on. Returns how to count an answer. */
export function addPace(
  server: FastifyInstance,
  interest: ReturnType<typeof createInterest>,
  windowSeconds: number,
): (seconds: number) => void {
  const answers = keepRecent<number>(windowSeconds);
  server.get('/api/metrics/latency', () => {
    const seconds = answers.read();
    return {
      p95Seconds: quantileOf(seconds, 0.95),
      p99Seconds: quantileOf(seconds, 0.99),
      requests: seconds.length,
      windowSeconds,
    };
  });
  server.get('/api/cache/stats', () => interest.stats());
  server.get('/api/performance/queries/stats', () => {
    const seconds = interest.queryTimes();
    const p95Seconds = quantileOf(seconds, 0.95);
    return { queries: [{ name: 'interest', calls: seconds.length, p95Seconds }], windowSeconds };
  });
  return answers.add;
}
