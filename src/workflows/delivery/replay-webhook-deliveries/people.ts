import type { Activities } from '../../../activities';
import type { Delivery, WebhookStatus } from '../../../activities/delivery/webhooks';
import { targetOf, type Place } from '../../../contract/place';
import { duration, type Run, type TaskCheck, type Verdict } from '../../kit';
import { adviceFor, causeOfFailure, faultsOf, saidOf, type Fault } from './causes';
import { laterText, tracedOf, waitFor, type Drained } from './drain';
import { deliveriesText } from './plan';

const MAX_NAMED = 10;
const OVER: Verdict = { ok: true, detail: 'all of them are over' };
const LOOK_EVERY_MS = 120_000;

interface Failing {
  status: WebhookStatus;
  drained: Drained;
  tried: Delivery[];
  /** False where test events were taken before, and what was sent then was not. */
  believed: boolean;
}

/**
 * Finds out what is wrong with those that still fail, and returns when somebody has mended it, or it is well by itself;
 * then only test events say so, and the answer is false.
 */
export async function endpointsMended(
  run: Run,
  place: Place,
  { status, drained, tried, believed }: Failing,
): Promise<boolean> {
  const faults: Fault[] = drained.later
    ? [laterFault(drained.failed, status)]
    : faultsOf(tried.length > 0 ? tried : drained.failed);
  const found = status.canProbe && !drained.later ? await probeAll(run, place, faults, believed) : faults;
  for (const fault of found.slice(0, MAX_NAMED))
    run.note(`Finding: ${fault.cause}`, faultText(fault, status), { failed: true });
  if (found.length === 0) return false;
  run.fact(
    'cause',
    found
      .map(({ target, cause }) => `${target}: ${cause}`)
      .slice(0, MAX_NAMED)
      .join('; '),
  );
  await run.task(taskText(place, status, drained, found), checkFor(place, status, found));
  return true;
}

/** Those whose endpoints take a test event now need nobody. Those that were not asked stay as they are. */
async function probeAll(run: Run, place: Place, faults: Fault[], believed: boolean): Promise<Fault[]> {
  const endpoints = endpointsOf(faults);
  const probes = await run.step(
    'Send a test event to the endpoints that fail',
    (act) => Promise.all(endpoints.map((endpoint) => act.probeWebhookEndpoint({ ...place, endpoint }))),
    {
      kind: 'mutate',
      undo: { harmless: 'test events were sent' },
      describe: (results) =>
        results.map((one, index) => `${endpoints[index]} ${one.ok ? 'takes it' : saidOf(one)}`).join('; '),
    },
  );
  return faults.flatMap((fault) => {
    const probe = probes[endpoints.indexOf(fault.endpoint)];
    if (probe === undefined) return [fault];
    // It takes a test event, and refuses the delivery itself.
    if (probe.ok) return believed && fault.cause !== 'payload' ? [] : [{ ...fault, takesProbes: true }];
    return [{ ...fault, cause: causeOfFailure(probe), said: saidOf(probe) }];
  });
}

function endpointsOf(faults: Fault[]): string[] {
  return [...new Set(faults.map(({ endpoint }) => endpoint))].filter((one) => one !== '').slice(0, MAX_NAMED);
}

function laterFault(failed: Delivery[], { patienceMs }: WebhookStatus): Fault {
  const said = laterText(failed, patienceMs);
  return { endpoint: '', target: 'the application', cause: 'later', said, count: failed.length };
}

function faultText(fault: Fault, { signatureHeader }: WebhookStatus): string {
  const which = fault.endpoint === '' ? '' : `, endpoint ${fault.endpoint}`;
  const probed = fault.takesProbes === true ? ', and a test event is taken' : '';
  return `${fault.target}${which} (${deliveriesText(fault.count)}; ${fault.said}${probed}): ${adviceFor(fault, signatureHeader)}`;
}

function taskText(place: Place, status: WebhookStatus, { failed }: Drained, faults: Fault[]): string {
  const named = faults.slice(0, MAX_NAMED).map((fault) => `${faultText(fault, status)}.`);
  const more = faults.length > MAX_NAMED ? ` And ${faults.length - MAX_NAMED} more.` : '';
  const next = isLater(faults)
    ? `This run goes on by itself ${duration(status.patienceMs)} before that.`
    : isWatched(status, faults)
      ? 'This run goes on by itself when test events are taken there.'
      : 'Say that it is done, and they are sent again.';
  return `${deliveriesText(failed.length)} of ${targetOf(place)} still fail. ${named.join(' ')}${more} ${next}`;
}

/** Whether a test event can tell that it is mended. */
function isWatched({ canProbe }: WebhookStatus, faults: Fault[]): boolean {
  return (
    canProbe &&
    faults.every(
      ({ endpoint, cause, takesProbes }) => endpoint !== '' && cause !== 'payload' && takesProbes !== true,
    )
  );
}

/** Nothing is wrong, and it takes long. */
function isLater(faults: Fault[]): boolean {
  return faults.every(({ cause }) => cause === 'later');
}

function checkFor(place: Place, status: WebhookStatus, faults: Fault[]): TaskCheck | undefined {
  if (isLater(faults))
    return { title: 'Are they due?', everyMs: LOOK_EVERY_MS, call: (act) => areDue(act, place, status) };
  if (!isWatched(status, faults)) return undefined;
  return {
    title: 'Are test events taken?',
    everyMs: LOOK_EVERY_MS,
    call: (act) => allTake(act, place, status, endpointsOf(faults)),
  };
}

async function areDue(act: Activities, place: Place, status: WebhookStatus): Promise<Verdict> {
  const { failed } = await act.followWebhooks(tracedOf(place, status));
  if (failed.length === 0) return OVER;
  const ok = waitFor(failed, status, 0) <= status.patienceMs;
  return { ok, detail: ok ? 'the first of them is due soon' : laterText(failed, status.patienceMs) };
}

async function allTake(
  act: Activities,
  place: Place,
  status: WebhookStatus,
  endpoints: string[],
): Promise<Verdict> {
  // An endpoint that was switched off takes nothing any more.
  if ((await act.followWebhooks(tracedOf(place, status))).failed.length === 0) return OVER;
  const probes = await Promise.all(
    endpoints.map((endpoint) => act.probeWebhookEndpoint({ ...place, endpoint })),
  );
  const refused = probes.flatMap((probe, index) =>
    probe.ok ? [] : [`endpoint ${endpoints[index]}: ${saidOf(probe)}`],
  );
  return refused.length === 0
    ? { ok: true, detail: `${endpoints.length} take them` }
    : { ok: false, detail: refused.join('; ') };
}
