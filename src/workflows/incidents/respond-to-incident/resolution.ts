import { durationsOf } from '../../../contract/incident';
import { duration, now, type Run } from '../../kit';
import { updateEveryMs } from './clocks';
import { isResolved, policyOf, type Incident, type ResolveRequest } from './incident';
import { obstacles } from './measure';
import { resolvedText } from './texts';
import { sendUpdate } from './updates';

const LEAST_CHECK_MS = 10_000;
const MAX_CHECKS = 20;

/** Answers somebody who says that it is over: by what can be measured, or by the commander's reason. */
export async function answerRequest(incident: Incident, run: Run, request: ResolveRequest): Promise<void> {
  if (isResolved(incident)) {
    request.verdict = { ok: false, text: 'it was resolved meanwhile' };
    return;
  }
  const { by, override } = request;
  const { holds, against, proof } = await verify(incident, run, `${by} says that it is over`);
  if (!holds && override === undefined) {
    const way = `or let the commander (${incident.record.commander ?? 'nobody yet'}) give a reason in "override"`;
    request.verdict = { ok: false, text: `not resolved: ${against}. Mend that first, ${way}` };
    return;
  }
  resolve(incident, run, {
    ...request,
    proof: holds ? proof : against,
    ...(holds ? { override: undefined } : {}),
  });
  request.verdict = {
    ok: true,
    text: holds ? `resolved; ${proof}` : `closed by override, although ${against}`,
  };
  await tellResolved(incident, run);
}

/** The alert is resolved: looks until it has held for the soak time, then resolves, or proposes to. */
export async function checkWhetherOver(incident: Incident, run: Run): Promise<void> {
  const { clocks, record } = incident;
  const { soakMs, soakEveryMs, mode } = run.policy;
  const everyMs = Math.max(LEAST_CHECK_MS, soakEveryMs, Math.ceil(soakMs / MAX_CHECKS));
  const { against, proof } = await obstacles(incident, run);
  if (against.length > 0) {
    delete clocks.holdsSince;
    clocks.checkAt = Date.now() + updateEveryMs(policyOf(incident), record, clocks);
    run.note('The alert is resolved, the incident is not', against.join('; '), {
      failed: true,
      movement: 'verify',
    });
    return;
  }
  clocks.holdsSince ??= Date.now();
  const left = clocks.holdsSince + soakMs - Date.now();
  if (left > 0) {
    clocks.checkAt = Date.now() + Math.min(everyMs, left);
    return;
  }
  delete clocks.checkAt;
  run.note('It has held', `for ${duration(soakMs)}: ${proof}`, { movement: 'verify' });
  if (mode !== 'auto')
    return sendUpdate(incident, run, 'the alert is resolved and everything holds: it can be resolved');
  resolve(incident, run, {
    by: 'the alert',
    note: 'its sender says that it is over, and it has held',
    proof,
  });
  return tellResolved(incident, run);
}

/** What `resolve` came to, on the timeline and for whoever asked. */
async function verify(
  incident: Incident,
  run: Run,
  why: string,
): Promise<{ holds: boolean; against: string; proof: string }> {
  let seen = { against: [] as string[], proof: '' };
  const { ok: holds } = await run.check('Is it over?', async () => {
    seen = await obstacles(incident, run);
    const ok = seen.against.length === 0;
    return { ok, detail: `${why}: ${ok ? seen.proof : seen.against.join('; ')}` };
  });
  return { holds, against: seen.against.join('; '), proof: seen.proof };
}

function resolve(
  { record, clocks }: Incident,
  run: Run,
  words: { by: string; note: string; proof: string; rootCause?: string; override?: string | undefined },
): void {
  const { by, note: text, proof, rootCause, override } = words;
  record.resolved = { by, at: now(), note: text, proof, ...(override === undefined ? {} : { override }) };
  if (rootCause !== undefined) record.rootCause = rootCause;
  delete record.nextUpdateAt;
  delete clocks.checkAt;
  const detail = override === undefined ? text : `${text}; without proof: ${override}`;
  run.note(`Resolved by ${by}`, detail, { movement: 'verify' });
  const took = durationsOf(record);
  const seconds = (ms: number | undefined) => (ms === undefined ? undefined : Math.round(ms / 1_000));
  const facts = {
    timeToDetectSeconds: seconds(took.detectMs),
    timeToAcknowledgeSeconds: seconds(took.acknowledgeMs),
    timeToMitigateSeconds: seconds(took.mitigateMs),
    timeToResolveSeconds: seconds(took.resolveMs),
  };
  for (const [name, value] of Object.entries(facts)) if (value !== undefined) run.fact(name, value);
}

async function tellResolved(incident: Incident, run: Run): Promise<void> {
  // Weeks may pass before the run ends; what is known now can be read without a worker.
  run.save();
  const { resolved, title } = incident.record;
  await run.resolvePage(`${title}: resolved by ${resolved?.by}.`);
  await run.announce(resolvedText(incident), { severity: incident.record.severity });
}
