import { adjustFor, badClue, deploymentSuspect, poolExhausted, queriesSlow } from '../strain/causes';
import type { Procedure } from '../strain/facts';

/** How slow responses are seen, and what is dealt with first. */
export const slowResponses: Procedure = {
  trouble: 'slow responses',
  measures: ['latency-p95', 'latency-p99'],
  clues: ['pool-utilisation', 'cache-hit-rate', 'slow-query', 'cpu-utilisation'],
  endpoints: ['queryStats', 'slowQueries'],
  adjustments: ['raiseCacheTtl', 'scaleUp'],
  causesOf: (facts) => [
    ...poolExhausted(facts),
    ...deploymentSuspect(facts),
    ...adjustFor(facts, badClue(facts, 'cache-hit-rate'), {
      cause: 'the cache is hardly used',
      adjustment: 'raiseCacheTtl',
    }),
    ...queriesSlow(facts),
    ...adjustFor(facts, badClue(facts, 'cpu-utilisation'), {
      cause: 'the processors are busy',
      adjustment: 'scaleUp',
    }),
  ],
};
