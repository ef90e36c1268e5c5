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
  // How an alert reads may change when it is resolved; the run that it began does not.
  const begun = createRecent<Startable>(MAX_TRACKED);
  const isNews = createOccasion(LOG_AGAIN_MS);

  /** When this returns, whatever must be persisted is. Throws Unavailable. */
  async function deal(alert: Alert, untilMs: number): Promise<Dealt> {
    const { source, fingerprint, startsAt, status } = alert;
    const key = JSON.stringify([source, fingerprint, startsAt]);
    const run = (status === 'resolved' ? begun.get(key) : undefined) ?? planned(alert);
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
    if (status === 'resolved') {
      const heard = await starter.resolved(startable, alert, untilMs);
      return { ...about, workflowId, result: 'resolved', detail: RESOLVED[heard] };
    }
    const result = await starter.firing(startable, alert, untilMs);
    begun.set(key, { ...startable, input: {} });
    if (result === 'started')
      log('info', 'started a run', { source, route, workflowId, fingerprint, title: alert.title });
    return { ...about, workflowId, result };
  }

  function planned(alert: Alert): PlannedRun | undefined {
    const route = routeOf(routes, alert);
    return route === undefined ? undefined : planRun(config, route, alert);
  }

  return { deal };
}

export type Intake = ReturnType<typeof createIntake>;
