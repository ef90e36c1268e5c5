import { runbook } from '../../kit';
import { relieveStrain } from '../strain/relieve-strain';
import type { relieveMemoryPressureCard } from './card';
import { memoryPressure } from './memory-pressure';

/** Finds out why memory runs short, and tries the remedies that speak to it, one at a time. */
export const relieveMemoryPressure = runbook<typeof relieveMemoryPressureCard>(
  'relieveMemoryPressure',
  (input, run) => relieveStrain(run, input, memoryPressure),
);
