import { runbook } from '../../kit';
import { relieveStrain } from '../strain/relieve-strain';
import type { resolveSlowResponsesCard } from './card';
import { slowResponses } from './slow-responses';

/** Finds out why answers come late, and tries the remedies that speak to it, one at a time. */
export const resolveSlowResponses = runbook<typeof resolveSlowResponsesCard>(
  'resolveSlowResponses',
  (input, run) => relieveStrain(run, input, slowResponses),
);
