import type { Run } from '../../kit';
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
    hearAlert(incident, run);
    const due = nextClock(policyOf(incident), incident.record, incident.clocks);
    summarise(incident, run);
    const left = due.at - Date.now();
    if (left <= 0) await RINGS[due.name](incident, run);
    else await rest(incident, run, left);
  }
}

/** The sender's word starts a look at the service; only that decides. */
function hearAlert(incident: Incident, run: Run): void {
  if (!alertChanged(incident, run)) return;
  const { clocks } = incident;
  noteAlert(incident, run);
  delete clocks.holdsSince;
  if (run.sender.resolvedAt === undefined) delete clocks.checkAt;
  else clocks.checkAt = Date.now();
}

function summarise({ record }: Incident, run: Run): void {
  const { severity, title, commander, acknowledged } = record;
  const who = acknowledged === undefined ? 'nobody has acknowledged' : `led by ${commander ?? 'nobody'}`;
  run.summary(`${severity} open, ${who}: ${title}`);
}
