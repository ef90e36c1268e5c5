import type { Activities } from '../../../activities';
import type { Delivery, WebhookStatus } from '../../../activities/delivery/webhooks';
import { targetOf, type Place } from '../../../contract/place';
import type { Run, TaskCheck, Verdict } from '../../kit';
import { adviceFor, causeOfFailure, faultsOf, saidOf, type Fault } from './causes';
import { laterText, type Drained } from './drain';
import { deliveriesText } from './plan';

const MAX_NAMED = 10;
const LOOK_EVERY_MS = 120_000;

/** Finds out what is wrong with those that still fail, and returns when somebody has mended it, or it is well by itself. */
export async function endpointsMended(
  run: Run,
  place: Place,
  { status, drained, tried }: { status: WebhookStatus; drained: Drained; tried: Delivery[] },
): Promise<void> {
  const faults: Fault[] = drained.later
    ? [laterFault(drained.failed, status)]
    : faultsOf(tried.length > 0 ? tried : drained.failed);
  const found = status.canProbe && !drained.later ? await probeAll(run, place, faults) : faults;
  for (const fault of found.slice(0, MAX_NAMED))
    run.note(`Finding: ${fault.cause}`, faultText(fault, status), { failed: true });
  if (found.length === 0) return;
  run.fact(
    'cause',
    found
      .map(({ target, cause }) => `${target}: ${cause}`)
      .slice(0, MAX_NAMED)
      .join('; '),
  );
  await run.task(taskText(place, status, drained, found), checkFor(place, status, found));
}

/** Those whose endpoints take a test event now need nobody. Those that were not asked stay as they are. */
async function probeAll(run: Run, place: Place, faults: Fault[]): Promise<Fault[]> {
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
    if (probe.ok) return fault.cause === 'payload' ? [fault] : [];
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
  return `${fault.target}${which} (${deliveriesText(fault.count)}; ${fault.said}): ${adviceFor(fault, signatureHeader)}`;
}

function taskText(place: Place, status: WebhookStatus, { failed }: Drained, faults: Fault[]): string {
  const named = faults.slice(0, MAX_NAMED).map((fault) => `${faultText(fault, status)}.`);
  const more = faults.length > MAX_NAMED ? ` And ${faults.length - MAX_NAMED} more.` : '';
  const next = isWatched(status, faults)
    ? 'This run goes on by itself when test events are taken there.'
    : 'Say that it is done, and they are sent again.';
  return `${deliveriesText(failed.length)} of ${targetOf(place)} still fail. ${named.join(' ')}${more} ${next}`;
}

/** Whether a test event can tell that it is mended. */
function isWatched({ canProbe }: WebhookStatus, faults: Fault[]): boolean {
  return canProbe && faults.every(({ endpoint, cause }) => endpoint !== '' && cause !== 'payload');
}

function checkFor(place: Place, status: WebhookStatus, faults: Fault[]): TaskCheck | undefined {
  if (!isWatched(status, faults)) return undefined;
  return {
    title: 'Are test events taken?',
    everyMs: LOOK_EVERY_MS,
    call: (act) => allTake(act, place, endpointsOf(faults)),
  };
}

async function allTake(act: Activities, place: Place, endpoints: string[]): Promise<Verdict> {
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
