import {
  adjustFor,
  badClue,
  badSymptom,
  byHandFor,
  deploymentSuspect,
  poolExhausted,
  restartFor,
} from '../strain/causes';
import type { Procedure } from '../strain/facts';

/** How signs of memory pressure are seen, and what is dealt with first. */
export const memoryPressure: Procedure = {
  trouble: 'signs of memory pressure',
  measures: ['memory-utilisation', 'memory-growth'],
  clues: ['pool-utilisation', 'cache-utilisation'],
  endpoints: ['detailedHealth'],
  adjustments: ['raiseMemoryLimit'],
  causesOf: (facts) => [
    ...poolExhausted(facts),
    ...deploymentSuspect(facts),
    // Growing from hour to hour, it comes back after every restart: but a restart gives the time to find out why.
    ...restartFor(facts, badSymptom(facts, 'memory-growth'), 'memory leaks'),
    ...adjustFor(facts, badSymptom(facts, 'memory-utilisation'), {
      cause: 'the memory is too small for what the application does',
      adjustment: 'raiseMemoryLimit',
    }),
    ...byHandFor(badClue(facts, 'cache-utilisation'), {
      cause: 'a cache has reached its limit, or has none',
      task: 'Look at the limits of its size.',
    }),
  ],
};
