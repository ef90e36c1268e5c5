import type { LoadedConfig } from '../config/load';
import type { ScheduleState } from '../schedules/read';
import type { GaugeSpec } from './samples';

const labels = ['schedule', 'runbook', 'service'];

/** Whether what should start by itself does. */
export function scheduleGauges(config: LoadedConfig): GaugeSpec[] {
  const paused = ({ id, paused }: ScheduleState) => Number(paused && config.schedules[id]?.paused !== true);
  return [
    of('applied', '1 when the server has it; 0 until `runbooks schedules apply`', ({ applied }) =>
      Number(applied),
    ),
    of('paused', '1 while a person or a failed run has paused it; 0 when the configuration did', paused),
    of(
      'overdue_seconds',
      'Seconds since a start should have been there; 0 while all is well',
      ({ overdueSeconds }) => overdueSeconds,
    ),
    of(
      'last_start_timestamp_seconds',
      'When it last started a run; 0 when never',
      ({ lastStartedAt }) => seconds(lastStartedAt) ?? 0,
    ),
    of('next_start_timestamp_seconds', 'When it starts the next; absent when none comes', ({ nextAt }) =>
      seconds(nextAt),
    ),
    of(
      'skipped_starts',
      'Starts left out because the one before still ran',
      ({ skippedStarts }) => skippedStarts,
    ),
    of(
      'missed_starts',
      'Starts left out because the server was away for too long',
      ({ missedStarts }) => missedStarts,
    ),
    lastOutcome,
  ];
}

const seconds = (at: string | undefined) => (at === undefined ? undefined : Date.parse(at) / 1_000);

const labelsOf = ({ id, runbook, service }: ScheduleState) => ({ schedule: id, runbook, service });

function of(name: string, help: string, valueOf: (state: ScheduleState) => number | undefined): GaugeSpec {
  return {
    name: `runbooks_schedule_${name}`,
    help,
    labels,
    samples: ({ schedules }) =>
      [...schedules.values()].flatMap((state) => {
        const value = valueOf(state);
        return value === undefined ? [] : [{ labels: labelsOf(state), value }];
      }),
  };
}

const lastOutcome: GaugeSpec = {
  name: 'runbooks_schedule_last_outcome',
  help: 'Always 1; the outcome of its newest run is a label, RUNNING while it runs',
  labels: [...labels, 'outcome'],
  samples: ({ schedules }) =>
    [...schedules.values()].flatMap((state) =>
      state.lastOutcome === undefined
        ? []
        : [{ labels: { ...labelsOf(state), outcome: state.lastOutcome }, value: 1 }],
    ),
};
