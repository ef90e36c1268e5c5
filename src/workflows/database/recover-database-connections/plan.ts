import type { Remedies } from '../../../activities/application/remedies';
import { targetOf, type Place } from '../../../contract/place';
import { duration, type PlanDraft } from '../../kit';
import { applicationIn } from '../../application/serving';
import { adviceFor } from './advice';
import { causeText, isPassing, mayBeStopped, type Situation } from './situation';

export type Remedy = 'start' | 'wait' | 'relieve' | 'task';

/** What is tried for what was found; each but a task once for one cause. Undefined where the database answers. */
export function remedyFor(now: Situation, tried: ReadonlySet<string>): Remedy | undefined {
  const [first] = now.findings;
  if (first === undefined) return undefined;
  const wanted = untriedFor(now);
  return tried.has(keyOf(wanted, first.cause)) ? 'task' : wanted;
}

function untriedFor(now: Situation): Remedy {
  const [first] = now.findings;
  const { diagnosis } = now;
  if (mayBeStopped(now)) return diagnosis.canStart ? 'start' : 'task';
  if (first !== undefined && isPassing(first)) return 'wait';
  // Whoever gets no connection can end none.
  return first?.cause === 'too-many-connections' && diagnosis.runbooks.cause === null ? 'relieve' : 'task';
}

export function keyOf(remedy: Remedy, cause: string): string {
  return `${remedy} for ${cause}`;
}

interface Planned {
  remedy: Remedy | undefined;
  restart: boolean;
  unchecked: string[];
}

/** What was said exactly comes and goes, so it is not in it: an approval of it lasts. */
export function planFor(place: Place, now: Situation, { remedy, restart, unchecked }: Planned): PlanDraft {
  const { findings, diagnosis } = now;
  const target = targetOf(place);
  const detail = findings
    .map((one) => `${one.whose}: ${causeText(one.cause)}; ${adviceFor(one, diagnosis)}`)
    .join('. ');
  const actions: PlanDraft['actions'] = [];
  if (remedy === 'start') actions.push({ action: 'start the database server', target, detail });
  if (remedy === 'wait')
    actions.push({ action: `wait until it answers, for ${duration(diagnosis.settleMs)} at most`, target });
  if (remedy === 'relieve') actions.push({ action: 'relieve the connections', target, detail });
  if (remedy === 'task') actions.push({ action: 'a task for a person', target, detail });
  if (restart || now.checks > 0) {
    const action = restart ? 'restart the application' : 'a task for a person: restart the application';
    actions.push({
      action: `if its health checks fail although the database answers, ${action}`,
      target: applicationIn(place),
    });
  }
  return {
    actions,
    warnings: [...unchecked, ...warningsOf(now, restart)],
    facts: {
      causes: findings.map(({ whose, cause }) => `${whose}: ${cause}`).join(', '),
      failing: now.failing.map(({ name }) => name).join(', '),
    },
  };
}

function warningsOf({ diagnosis, checks }: Situation, restart: boolean): string[] {
  const { application, canStart, status, asksStatus } = diagnosis;
  const why = asksStatus ? 'its provider does not say' : diagnosis.statusDetail;
  return [
    ...(application === null
      ? ['application.databaseUrl is not configured: whether the application has the right one is not known']
      : []),
    ...(status === null ? [`whether the server is paused is not known: ${why}`] : []),
    ...(canStart
      ? []
      : ['database.server.start is not configured: to start or resume the server is a task for a person']),
    ...(restart || checks === 0
      ? []
      : ['application.restart is not configured: to restart the application is a task for a person']),
  ];
}

export function restartOf({ restart }: Remedies, { checks }: Situation): boolean {
  return restart && checks > 0;
}
