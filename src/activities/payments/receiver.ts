import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OperationConfig } from '../../config/http-operation-schema';
import { targetOf, type Place } from '../../contract/place';
import type { ActivityDeps } from '../support/deps';
import { currentActivity } from '../support/heartbeat';
import { isHttpFailure, problemOf } from '../support/http';
import { performOperation } from '../support/operation/perform';

/** Whether the application takes what a provider signs. */
export interface Receiver {
  /** Null where nobody has tried. */
  takes: boolean | null;
  detail: string;
}

/** Sends one signed event that means nothing. That it is refused is an answer. Throws InvalidInput. */
export async function probeReceiver(
  { config: { directory } }: ActivityDeps,
  place: Place,
  probe: OperationConfig,
): Promise<Receiver> {
  const parameters = { ...place, probe: randomUUID() };
  const action = `send a signed test event to ${targetOf(place)}`;
  try {
    const { detail } = await performOperation(probe, { action, parameters, directory });
    return { takes: true, detail: `a signed test event is taken: ${detail}` };
  } catch (error) {
    if (!isHttpFailure(error)) throw error;
    const { details } = error as { details?: { status?: number }[] };
    return { takes: false, detail: `${problemOf(error)} ${adviceFor(details?.[0]?.status)}` };
  }
}

/** Between two that are sent. Throws why it was ended, and not that it was. */
export async function pause(seconds: number, lost: AbortSignal): Promise<void> {
  const signal = AbortSignal.any([lost, currentActivity().signal]);
  await sleep(seconds * 1_000, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}

function adviceFor(status: number | undefined): string {
  if (status === undefined) return 'Look whether the application runs, and whether the worker may reach it.';
  if (status === 400 || status === 401 || status === 403)
    return 'Most likely the signing secret of the application is not the one that is configured here and at the provider: put the right one there.';
  if (status === 404 || status === 405 || (status >= 300 && status < 400))
    return 'Look at the address: nothing takes events there.';
  if (status >= 500) return 'The handler fails: look at its log, and mend or roll back the application.';
  return 'Look at the handler of the application.';
}
