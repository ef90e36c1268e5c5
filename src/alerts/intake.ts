import type { Project } from '../catalogue/catalogue';
import type { Alert } from '../contract/alert';
import { createOccasion, type Log } from './log';
import { createRecent } from './recent';
import { compileRoutes, planRun, routeOf, type PlannedRun } from './routing';
import type { Startable, Starter } from './start';

/** What became of an alert. */
export type AlertResult = 'started' | 'repeat' | 'resolved' | 'unmatched' | 'invalid_input';

/** The answer about one alert. */
export interface Dealt {
  fingerprint: string;
  status: Alert['status'];
  result: AlertResult;
  route?: string;
  workflowId?: string;
  /** What the result alone does not say. */
  detail?: string;
}

interface Options {
  config: Project;
  starter: Starter;
  log: Log;
}

const MAX_TRACKED = 50_000;
/** Of one alert, whose runs may still be open. */
const MAX_EPISODES = 10;
/** After every ISO time. */
const LAST = '~';
/** Entry of an alert that goes on and on in the log; the metric counts each. */
const LOG_AGAIN_MS = 3_600_000;

const RESOLVED = {
  told: 'its run was told',
  soon: 'its run will be told within a minute',
  ended: 'no run of it is open',
  others: 'other alerts of its group still fire',
} as const;

/** Deals with alerts in the normal form: which run, and has Temporal got it. */
export function createIntake({ config, starter, log }: Options) {
  const routes = compileRoutes(config);
  // How an alert reads may change when it is resolved; the runs that it began do not. By the start of each episode.
  const begun = createRecent<Map<string, Startable>>(MAX_TRACKED);
  const isNews = createOccasion(LOG_AGAIN_MS);

  /** When this returns, whatever must be persisted is. Throws Unavailable. */
  async function deal(alert: Alert, untilMs: number): Promise<Dealt> {
    const { source, fingerprint, startsAt, status } = alert;
    const key = JSON.stringify([source, fingerprint, startsAt]);
    if (status === 'resolved') {
      const [newest, ...others] = runsOf(alert);
      if (newest !== undefined) return resolve(newest, others, alert, untilMs);
    }
    const run = planned(alert);
    if (run === undefined) {
      if (isNews(`${status} ${key}`)) log('warn', 'no route matches this alert', { alert });
      return { fingerprint, status, result: 'unmatched' };
    }
    const { route, workflowId, problems } = run;
    const about = { fingerprint, status, route };
    if (workflowId === undefined || (status === 'firing' && problems.length > 0)) {
      if (isNews(`${status} ${key}`))
        log('error', 'this alert would give its runbook a bad input', { route, problems, alert });
      return { ...about, result: 'invalid_input', detail: problems.join('; ') };
    }
    const startable: Startable = { ...run, workflowId };
    if (status === 'resolved') return resolve(startable, [], alert, untilMs);
    const result = await starter.firing(startable, alert, untilMs);
    remember(alert, startable);
    if (result === 'started')
      log('info', 'started a run', { source, route, workflowId, fingerprint, title: alert.title });
    return { ...about, workflowId, result };
  }

  /** A sender that was restarted gives one trouble another start: what is over is over for every run that it began. */
  async function resolve(
    newest: Startable,
    others: Startable[],
    alert: Alert,
    untilMs: number,
  ): Promise<Dealt> {
    const heard = await starter.resolved(newest, alert, untilMs);
    await Promise.all(others.map((run) => starter.resolved(run, alert, untilMs)));
    const { fingerprint, status } = alert;
    const { route, workflowId } = newest;
    return { fingerprint, status, route, workflowId, result: 'resolved', detail: RESOLVED[heard] };
  }

  function remember({ source, fingerprint, startsAt }: Alert, run: Startable): void {
    const key = JSON.stringify([source, fingerprint]);
    const runs = begun.get(key) ?? new Map<string, Startable>();
    runs.delete(startsAt ?? '');
    runs.set(startsAt ?? '', { ...run, input: {} });
    const [oldest] = runs.keys();
    if (runs.size > MAX_EPISODES) runs.delete(oldest!);
    begun.set(key, runs);
  }

  /** The runs of this episode and of those before it, the newest first, each once. */
  function runsOf({ source, fingerprint, startsAt }: Alert): Startable[] {
    const runs = [...(begun.get(JSON.stringify([source, fingerprint])) ?? [])]
      .filter(([began]) => began <= (startsAt ?? LAST))
      .sort(([one], [other]) => (one < other ? 1 : -1))
      .map(([, run]) => run);
    return [...new Map(runs.map((run) => [run.workflowId, run])).values()];
  }

  function planned(alert: Alert): PlannedRun | undefined {
    const route = routeOf(routes, alert);
    return route === undefined ? undefined : planRun(config, route, alert);
  }

  return { deal };
}

export type Intake = ReturnType<typeof createIntake>;
