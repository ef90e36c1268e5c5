import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow';
import type { LoadedDataConverter } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;
type Failure = temporal.api.failure.v1.IFailure;
type Payload = temporal.api.common.v1.IPayload;
type Time = { seconds?: unknown; nanos?: number | null } | null | undefined;

/** Decodes payloads; what cannot be decoded (another codec, another key) is left out instead of failing the report. */
export async function decodeAll(
  converter: LoadedDataConverter,
  payloads: Payload[] | null | undefined,
): Promise<unknown[]> {
  try {
    return await decodeArrayFromPayloads(converter, payloads ?? []);
  } catch {
    return [];
  }
}

export async function decodeOne(
  converter: LoadedDataConverter,
  payload: Payload | null | undefined,
): Promise<unknown> {
  if (payload === null || payload === undefined) return undefined;
  return (await decodeAll(converter, [payload]))[0];
}

/**
 * Gives failures back their messages where a codec has encrypted those, in the events themselves. One that cannot be
 * decrypted keeps the words that stand for it.
 */
export async function decodeFailures(converter: LoadedDataConverter, events: HistoryEvent[]): Promise<void> {
  if (converter.payloadCodecs.length === 0) return;
  for (const event of events) {
    const failures = [
      event.activityTaskStartedEventAttributes?.lastFailure,
      event.activityTaskFailedEventAttributes?.failure,
      event.activityTaskTimedOutEventAttributes?.failure,
      event.workflowExecutionUpdateCompletedEventAttributes?.outcome?.failure,
      event.workflowExecutionFailedEventAttributes?.failure,
    ];
    for (let failure of failures)
      for (; failure; failure = failure.cause) {
        const words = await decodeOne(converter, failure.encodedAttributes);
        const { message } = (words ?? {}) as { message?: unknown };
        if (typeof message === 'string') failure.message = message;
      }
  }
}

/** ISO time of an event's time, empty for none. */
export function isoTime(time: Time): string {
  if (time === null || time === undefined) return '';
  return new Date(Number(time.seconds ?? 0) * 1_000 + Math.floor((time.nanos ?? 0) / 1e6)).toISOString();
}

/** The innermost type and message of a failure, which is the one that says what happened. */
export function failureText(failure: Failure | null | undefined): string | undefined {
  const { type, message } = failureCause(failure);
  if (message === '') return type === '' ? undefined : type;
  return type === '' || message.startsWith(type) ? message : `${type}: ${message}`;
}

export function failureCause(failure: Failure | null | undefined): { type: string; message: string } {
  let current = failure;
  while (current?.cause && (current.activityFailureInfo || current.childWorkflowExecutionFailureInfo))
    current = current.cause;
  return { type: current?.applicationFailureInfo?.type ?? '', message: current?.message ?? '' };
}

/** Compact JSON for people, cut to `limit` characters. */
export function shortJson(value: unknown, limit = 400): string {
  const json = JSON.stringify(value) ?? '';
  return json.length > limit ? `${json.slice(0, limit - 1)}…` : json;
}

export type { Failure, HistoryEvent, Payload };
