import { isCancellation } from '@temporalio/workflow';
import { causeOf, now, type Run } from '../../kit';
import type { Incident } from './incident';
import type { Measurement } from '../../../activities/application/measure';

/**
 * Looks at the service. Never throws: a measurement that cannot be made is one that does not hold. No line of the
 * timeline by itself, because it is taken with every status update.
 */
export async function measure(incident: Incident, run: Run): Promise<Measurement> {
  const { record, environment } = incident;
  const measured = await read(run, environment);
  record.measured = measured.detail;
  // Where nothing was ever measured to be wrong, a measurement cannot say when it became right.
  if (!measured.ok) {
    incident.wasIll = true;
    delete record.mitigatedAt;
  } else if (incident.wasIll) record.mitigatedAt ??= now();
  return measured;
}

async function read(run: Run, environment: string): Promise<Measurement> {
  const { service } = run.policy;
  try {
    return await run.look('Measure the service', (act) => act.measureService({ service, environment }));
  } catch (error) {
    if (isCancellation(error)) throw error;
    const detail = `the service could not be measured: ${causeOf(error).message}`;
    return { ok: false, health: [], errorRate: null, detail };
  }
}

/** Why the incident cannot be called over; empty when it can. */
export async function obstacles(incident: Incident, run: Run): Promise<{ against: string[]; proof: string }> {
  const { ok, detail } = await measure(incident, run);
  const { runbook } = incident.record;
  const against: string[] = [];
  if (!ok) against.push(detail);
  if (runbook !== undefined && runbook.endedAt === undefined)
    against.push(`the runbook ${runbook.runbook} still runs (${runbook.workflowId})`);
  if (runbook?.outcome === 'NEEDS_HUMAN')
    against.push(`the runbook ${runbook.runbook} needs a person: ${runbook.summary}`);
  const came = runbook?.outcome === undefined ? '' : `; ${runbook.runbook} ended as ${runbook.outcome}`;
  return { against, proof: `${detail}${came}` };
}
