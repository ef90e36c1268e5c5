import { upsertMemo } from '@temporalio/workflow';
import { durationsOf } from '../../../contract/incident';
import { duration } from '../../../contract/text';
import type { Run } from '../../kit/run';
import { endEntry, now, publish, startEntry, type RunState } from '../../kit/state';
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
  const { holds, against, proof } = await verify(incident, `${by} says that it is over`);
  if (!holds && override === undefined) {
    const way = `or let the commander (${incident.record.commander ?? 'nobody yet'}) give a reason in "override"`;
    request.verdict = { ok: false, text: `not resolved: ${against}. Mend that first, ${way}` };
    return;
  }
  resolve(incident, {
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
  const { clocks, record, state } = incident;
  const { soakMs, soakEveryMs, mode } = run.policy;
  const everyMs = Math.max(LEAST_CHECK_MS, soakEveryMs, Math.ceil(soakMs / MAX_CHECKS));
  const { against, proof } = await obstacles(incident);
  if (against.length > 0) {
    delete clocks.holdsSince;
    clocks.checkAt = Date.now() + updateEveryMs(policyOf(incident), record, clocks);
    note(state, 'The alert is resolved, the incident is not', against.join('; '), 'failed');
    return;
  }
  clocks.holdsSince ??= Date.now();
  const left = clocks.holdsSince + soakMs - Date.now();
  if (left > 0) {
    clocks.checkAt = Date.now() + Math.min(everyMs, left);
    return;
  }
  delete clocks.checkAt;
  note(state, 'It has held', `for ${duration(soakMs)}: ${proof}`);
  if (mode !== 'auto')
    return sendUpdate(incident, run, 'the alert is resolved and everything holds: it can be resolved');
  resolve(incident, { by: 'the alert', note: 'its sender says that it is over, and it has held', proof });
  return tellResolved(incident, run);
}

/** What `resolve` came to, on the timeline and for whoever asked. */
async function verify(
  incident: Incident,
  why: string,
): Promise<{ holds: boolean; against: string; proof: string }> {
  const { state } = incident;
  const entry = inVerify(state, () => startEntry(state, 'Is it over?', 'running', why));
  const { against, proof } = await obstacles(incident);
  const holds = against.length === 0;
  endEntry(state, entry, holds ? 'done' : 'failed', `${why}: ${holds ? proof : against.join('; ')}`);
  return { holds, against: against.join('; '), proof };
}

function resolve(
  { record, state, clocks }: Incident,
  words: { by: string; note: string; proof: string; rootCause?: string; override?: string | undefined },
): void {
  const { by, note: text, proof, rootCause, override } = words;
  record.resolved = { by, at: now(), note: text, proof, ...(override === undefined ? {} : { override }) };
  if (rootCause !== undefined) record.rootCause = rootCause;
  delete record.nextUpdateAt;
  delete clocks.checkAt;
  note(state, `Resolved by ${by}`, override === undefined ? text : `${text}; without proof: ${override}`);
  const took = durationsOf(record);
  const seconds = (ms: number | undefined) => (ms === undefined ? undefined : Math.round(ms / 1_000));
  const facts = {
    timeToDetectSeconds: seconds(took.detectMs),
    timeToAcknowledgeSeconds: seconds(took.acknowledgeMs),
    timeToMitigateSeconds: seconds(took.mitigateMs),
    timeToResolveSeconds: seconds(took.resolveMs),
  };
  for (const [name, value] of Object.entries(facts))
    if (value !== undefined) state.report.facts[name] = value;
}

async function tellResolved(incident: Incident, run: Run): Promise<void> {
  const { state } = incident;
  publish(state);
  // Weeks may pass before the run ends; what is known now can be read without a worker.
  upsertMemo({ report: state.report });
  const { resolved, title } = incident.record;
  await run.resolvePage(`${title}: resolved by ${resolved?.by}.`);
  await run.announce(resolvedText(incident), { severity: incident.record.severity });
}

function note(state: RunState, title: string, detail: string, status: 'done' | 'failed' = 'done'): void {
  const entry = inVerify(state, () => startEntry(state, title, 'note', detail));
  endEntry(state, entry, status === 'failed' ? 'failed' : 'note');
}

function inVerify<T>(state: RunState, body: () => T): T {
  const before = state.movement;
  state.movement = 'verify';
  try {
    return body();
  } finally {
    state.movement = before;
  }
}
