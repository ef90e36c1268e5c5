import { runbook } from '../../kit';
import { relieveStrain } from '../strain/relieve-strain';
import type { relieveCpuSpikeCard } from './card';
import { busyProcessors } from './busy-processors';

/** Finds out what keeps the processors busy, and tries the remedies that speak to it, one at a time. */
export const relieveCpuSpike = runbook<typeof relieveCpuSpikeCard>('relieveCpuSpike', (input, run) =>
  relieveStrain(run, input, busyProcessors),
);
