import type { Run } from '../../kit/run';
import { publish } from '../../kit/state';
import { nextClock, type ClockName } from './clocks';
import { climbUnacknowledged, escalateUnresolved } from './escalation';
import { alertChanged, isResolved, noteAlert, policyOf, rest, type Incident } from './incident';
import { checkWhetherOver } from './resolution';
import { sendDueUpdate } from './updates';

type Ring = (incident: Incident, run: Run) => Promise<void>;

const RINGS: Record<ClockName, Ring> = {
  acknowledge: climbUnacknowledged,
  escalate: escalateUnresolved,
  check: checkWhetherOver,
  update: sendDueUpdate,
};

/** Leads the incident until it is resolved: one thing after the other, what people ask for first, then the clocks. */
export async function lead(incident: Incident, run: Run): Promise<void> {
  while (!isResolved(incident)) {
    const effect = incident.todo.shift();
    if (effect !== undefined) {
      await effect(run);
      continue;
    }
    hearAlert(incident);
    const due = nextClock(policyOf(incident), incident.record, incident.clocks);
    summarise(incident);
    const left = due.at - Date.now();
    if (left <= 0) await RINGS[due.name](incident, run);
    else await rest(incident, left);
  }
}

/** The sender's word starts a look at the service; only that decides. */
function hearAlert(incident: Incident): void {
  if (!alertChanged(incident)) return;
  const { clocks, state } = incident;
  noteAlert(incident);
  delete clocks.holdsSince;
  if (state.alert.resolvedAt === undefined) delete clocks.checkAt;
  else clocks.checkAt = Date.now();
}

function summarise({ state, record }: Incident): void {
  const { severity, title, commander, acknowledged } = record;
  const who = acknowledged === undefined ? 'nobody has acknowledged' : `led by ${commander ?? 'nobody'}`;
  state.report.summary = `${severity} open, ${who}: ${title}`;
  publish(state);
}
