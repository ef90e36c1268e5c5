import type { LoadedConfig } from '../config/load';
import { proofGauges } from './proof-gauges';
import { scheduleGauges } from './schedule-gauges';
import { byService, count, fold, type GaugeSpec } from './samples';

/** Every gauge that is read from Temporal. Prometheus gets the same from each process that serves them. */
export function gaugesOf(config: LoadedConfig): GaugeSpec[] {
  return [...runGauges, ...guardGauges, ...proofGauges(config), ...scheduleGauges(config)];
}

const runGauges: GaugeSpec[] = [
  {
    name: 'runbooks_unread',
    help: 'What is there and was not read, by what it is: schedules and guards; 1 for proofs while runs of the past are still being read; 1 for runs and endings while they are as they were before',
    labels: ['what'],
    samples: ({ unread }) => Object.entries(unread).map(([what, value]) => ({ labels: { what }, value })),
  },
  {
    name: 'runbooks_worker_pollers',
    help: 'Workers that asked for work within the last minutes',
    labels: [],
    samples: ({ workers }) => [{ labels: {}, value: workers.all }],
  },
  {
    name: 'runbooks_new_run_workers',
    help: 'Those of them that new runs go to: with Worker Versioning the workers of the current version',
    labels: [],
    samples: ({ workers }) => [{ labels: {}, value: workers.takers }],
  },
  {
    name: 'runbooks_runs_open',
    help: 'Runs that are open',
    labels: ['service', 'runbook'],
    samples: ({ runs }) => count(runs.open, ({ service, runbook }) => ({ service, runbook })),
  },
  {
    name: 'runbooks_approvals_waiting',
    help: 'Runs that wait for a person, by what they wait for: approval, decision, task or paused',
    labels: ['service', 'kind'],
    samples: ({ runs }) => count(runs.waiting, ({ service, kind }) => ({ service, kind })),
  },
  {
    name: 'runbooks_approval_oldest_seconds',
    help: 'How long the run has waited that waits for the longest',
    labels: ['service', 'kind'],
    samples: ({ runs }, nowMs) =>
      fold(
        runs.waiting,
        ({ service, kind }) => ({ service, kind }),
        (oldest, { sinceMs }) => Math.max(oldest, (nowMs - sinceMs) / 1_000),
      ),
  },
  {
    name: 'runbooks_needs_human_recent',
    help: 'Runs that ended as NEEDS_HUMAN within the last 24 hours',
    labels: ['service'],
    samples: ({ needsHuman }) => byService(needsHuman, (ended) => ended),
  },
  {
    name: 'runbooks_partial_recent',
    help: 'Runs that ended as PARTIAL within the last 24 hours: part of what they changed stays',
    labels: ['service'],
    samples: ({ partial }) => byService(partial, (ended) => ended),
  },
  {
    name: 'runbooks_needs_human_open',
    help: 'Runs whose way back failed and that wait for somebody to look',
    labels: ['service', 'runbook'],
    samples: ({ runs }) =>
      count(
        runs.waiting.filter(({ needsHuman }) => needsHuman),
        ({ service, runbook }) => ({ service, runbook }),
      ),
  },
];

const guardGauges: GaugeSpec[] = [
  {
    name: 'runbooks_guard_paused',
    help: '1 while a person or the breaker has paused the target; the target "all" is the kill switch',
    labels: ['target'],
    samples: ({ guards }) =>
      guards.map(({ target, paused }) => ({ labels: { target }, value: Number(paused) })),
  },
  {
    name: 'runbooks_guard_held',
    help: '1 while a run holds the lease of the target',
    labels: ['target'],
    samples: ({ guards }) => guards.map(({ target, held }) => ({ labels: { target }, value: Number(held) })),
  },
  {
    name: 'runbooks_guard_waiting',
    help: 'Runs that wait for the lease of the target, or for a place',
    labels: ['target'],
    samples: ({ guards }) =>
      guards.flatMap(({ target, waiting }) =>
        waiting === undefined ? [] : [{ labels: { target }, value: waiting }],
      ),
  },
  {
    name: 'runbooks_breaker_open',
    help: '1 while the breaker of the service is open for an alert of this runbook',
    labels: ['service', 'runbook'],
    samples: ({ guards }) =>
      guards.flatMap(({ target, open }) =>
        open.map((runbook) => ({ labels: { service: target, runbook }, value: 1 })),
      ),
  },
  {
    name: 'runbooks_ladder_lowered',
    help: '1 while a bad outcome, or a person, has lowered the highest mode of the runbook',
    labels: ['service', 'runbook', 'mode'],
    samples: ({ guards }) =>
      guards.flatMap(({ target, ceilings }) =>
        Object.entries(ceilings).map(([runbook, mode]) => ({
          labels: { service: target, runbook, mode },
          value: 1,
        })),
      ),
  },
];
