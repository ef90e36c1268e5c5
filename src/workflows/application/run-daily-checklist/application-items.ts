import type { ChecklistScope } from '../../../activities/application/checklist';
import type { Measured } from '../../../activities/observe/measure';
import type { ChecklistItem, Color } from '../../../contract/checklist';
import { targetOf, type Place } from '../../../contract/place';
import { countOf, percent } from '../../kit';
import { notConfigured, type Item, type Seen } from './item';

/** Which runbook deals with a measure, by the beginning of its name. */
export const RUNBOOK_OF_MEASURE: [prefix: string, runbook: string][] = [
  ['error-rate', 'resolveHighErrorRate'],
  ['latency', 'resolveSlowResponses'],
  ['cache', 'resolveSlowResponses'],
  ['event-loop', 'resolveSlowResponses'],
  ['memory', 'relieveMemoryPressure'],
  ['cpu', 'relieveCpuSpike'],
  ['pool', 'relieveConnectionPool'],
  ['slow-query', 'tuneSlowQueries'],
  ['search-', 'recoverSearchIndexing'],
];

const QUEUES = 'queue-';

/** Readiness, errors, measures, queues, jobs and the smoke test. */
export function applicationItems(place: Place, scope: ChecklistScope): (Item | ChecklistItem)[] {
  const limitMs = scope.limits.itemSeconds * 1_000;
  const { service, environment } = place;
  return [
    ...readinessItems(place, scope, limitMs),
    smokeItem(service, scope, limitMs),
    scope.errorRate === null
      ? missing(environment, 'error rate', 'application.errorRate')
      : errorRateItem(place, scope.errorRate, limitMs),
    ...measureItems(place, scope, limitMs),
    ...scope.crons.map((job) => cronItem(place, job, limitMs)),
    ...(scope.crons.length === 0 ? [missing(environment, 'jobs', 'application.crons')] : []),
  ];
}

function missing(environment: string, name: string, what: string): ChecklistItem {
  return notConfigured(name, `environments.${environment}.${what}`);
}

/** Of environments without an application only the one that is meant needs one. */
function readinessItems({ service, environment }: Place, { health }: ChecklistScope, limitMs: number) {
  return Object.entries(health)
    .filter(([name, checks]) => checks > 0 || name === environment)
    .map(([name, checks]): Item | ChecklistItem => {
      const title = `readiness of ${name}`;
      if (checks === 0) return missing(name, title, 'application.health');
      return {
        name: title,
        objective: `${countOf(checks, 'health check')} hold`,
        next: 'resolveHighErrorRate',
        silence: 'red',
        limitMs,
        read: async (run) => {
          const found = await run.step(`Readiness of ${name}`, (act) =>
            act.checkHealth({ service, environment: name }),
          );
          const failing = found.filter(({ ok }) => !ok);
          const figure =
            failing.length === 0
              ? `${countOf(found.length, 'health check')} hold`
              : failing.map((one) => `${one.name}: ${one.detail}`).join('; ');
          return { color: failing.length === 0 ? 'green' : 'red', figure };
        },
      };
    });
}

function smokeItem(
  service: string,
  { smoke, limits }: ChecklistScope,
  limitMs: number,
): Item | ChecklistItem {
  const name = `smoke test of ${limits.smoke}`;
  if (smoke === null) return missing(limits.smoke, name, 'smoke');
  const place = { service, environment: limits.smoke };
  return {
    name,
    objective: 'it passes',
    next: 'mend it before the next deployment; resolveHighErrorRate where production has it too',
    silence: 'red',
    limitMs: Math.max(limitMs, smoke.permittedMs),
    read: async (run) => {
      const { detail } = await run.step(
        `Smoke test of ${targetOf(place)}`,
        (act) => act.runServiceCommand({ ...place, command: 'smoke' }),
        { kind: 'long', undo: 'read-only', describe: (result) => result.detail },
      );
      return { color: 'green', figure: detail };
    },
  };
}

/** What is worse than information is red: the runbook that deals with it acts from there on. */
function colorOfBand(band: Measured['band']): Color {
  if (band === null || band === 'info') return 'yellow';
  return band === 'objective' ? 'green' : 'red';
}

function errorRateItem(place: Place, max: number, limitMs: number): Item {
  return {
    name: 'error rate',
    objective: `at most ${percent(max)}`,
    next: 'resolveHighErrorRate',
    limitMs,
    read: async (run) => {
      const { band, rate, detail } = await run.step('Error rate', (act) => act.readErrorRate(place), {
        describe: (rate) => rate.detail,
      });
      return { color: colorOfBand(band), figure: rate === null ? detail : percent(rate) };
    },
  };
}

function measureItems(place: Place, { measures }: ChecklistScope, limitMs: number): (Item | ChecklistItem)[] {
  const { environment } = place;
  const has = (prefix: string): boolean => measures.some(({ name }) => name.startsWith(prefix));
  return [
    ...(has('latency') ? [] : [missing(environment, 'latency', 'observe.measures.latency-p95')]),
    ...(has(QUEUES)
      ? []
      : [missing(environment, 'queues', 'observe.measures.queue-delay and queue-failed-share')]),
    ...measures.map((measure) => measureItem(place, measure, limitMs)),
  ];
}

function measureItem(
  place: Place,
  { name, objective }: ChecklistScope['measures'][number],
  limitMs: number,
): Item {
  return {
    name,
    objective,
    next: nextOf(name),
    limitMs,
    read: async (run): Promise<Seen> => {
      const [measured] = await run.step(
        `Measure ${name}`,
        (act) => act.measure({ ...place, names: [name] }),
        {
          describe: (found) => found[0]?.detail ?? '',
        },
      );
      return {
        color: colorOfBand(measured!.band),
        figure: measured!.detail.replace(`, wanted ${objective}`, ''),
      };
    },
  };
}

function nextOf(name: string): string {
  if (name.startsWith(QUEUES))
    return 'drainQueueBacklog where `queues` are configured, else retry its failed jobs or mend their cause';
  const [, runbook] = RUNBOOK_OF_MEASURE.find(([prefix]) => name.startsWith(prefix)) ?? [];
  return runbook ?? 'find out why';
}

function cronItem(place: Place, job: string, limitMs: number): Item {
  return {
    name: `job ${job}`,
    objective: 'it runs on schedule, and leaves nothing undone',
    next: 'recoverCron',
    limitMs,
    read: async (run) => {
      const status = await run.step(`Last run of ${job}`, (act) => act.readCron({ ...place, job }), {
        describe: ({ detail }) => detail,
      });
      const { stale, schedule, scheduleDetail, undone, healsLazily, detail } = status;
      const stopped = stale || schedule === 'lost';
      const doubtful = (undone ?? 0) > 0 || schedule === 'unknown';
      const color = stopped ? (healsLazily ? 'yellow' : 'red') : doubtful ? 'yellow' : 'green';
      const why = schedule === 'lost' || schedule === 'unknown' ? `; ${scheduleDetail}` : '';
      return { color, figure: `${detail}${why}` };
    },
  };
}
