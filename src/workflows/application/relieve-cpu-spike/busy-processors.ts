import {
  adjustFor,
  badClue,
  badSymptom,
  byHandFor,
  deploymentSuspect,
  poolExhausted,
  queriesSlow,
  restartFor,
} from '../strain/causes';
import type { Procedure } from '../strain/facts';

/** How busy processors are seen, and what is dealt with first. */
export const busyProcessors: Procedure = {
  trouble: 'busy processors',
  measures: ['cpu-utilisation'],
  clues: ['event-loop-utilisation', 'log-rate', 'pool-utilisation', 'slow-query'],
  endpoints: ['slowQueries', 'queryStats'],
  adjustments: ['scaleUp'],
  causesOf: (facts) => [
    ...poolExhausted(facts),
    ...deploymentSuspect(facts),
    ...restartFor(facts, badClue(facts, 'event-loop-utilisation'), 'a loop does not end'),
    ...byHandFor(badClue(facts, 'log-rate'), {
      cause: 'too much is logged',
      task: 'Find out what is logged again and again, or raise the level of the log.',
    }),
    ...queriesSlow(facts),
    ...adjustFor(facts, badSymptom(facts, 'cpu-utilisation'), {
      cause: 'there is more to do than the processors can',
      adjustment: 'scaleUp',
    }),
  ],
};
