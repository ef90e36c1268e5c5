import type { LoadedDataConverter } from '@temporalio/common';
import { decodeAll, failureText, isoTime, shortJson, type HistoryEvent } from './events';
import type { Approval } from '../../contract/report';
import type { MessageRecord } from '../../contract/run-history';

/** A message with its decoded argument. */
export interface ReadMessage extends MessageRecord {
  value: unknown;
}

// What runs and guards say to each other is no message of a person.
const INTERNAL_SIGNALS = [
  'lease',
  'request',
  'release',
  'keep',
  'verdict',
  'admit',
  'rest',
  'ended',
  'wake',
  'goOn',
  'childRests',
];

/** Updates, signals and cancellation requests with who sent them and when. Refused Updates leave no event. */
export async function readMessages(
  events: HistoryEvent[],
  converter: LoadedDataConverter,
): Promise<ReadMessage[]> {
  const messages: ReadMessage[] = [];
  const updates = new Map<string, ReadMessage>();
  for (const event of events) {
    const accepted = event.workflowExecutionUpdateAcceptedEventAttributes;
    const completed = event.workflowExecutionUpdateCompletedEventAttributes;
    const signal = event.workflowExecutionSignaledEventAttributes;
    if (accepted?.acceptedRequest) {
      const { input, meta } = accepted.acceptedRequest;
      const value = (await decodeAll(converter, input?.args?.payloads))[0];
      const message = record('update', input?.name ?? '', event, value, meta?.identity ?? '');
      messages.push(message);
      updates.set(accepted.protocolInstanceId ?? '', message);
    } else if (completed) {
      const message = updates.get(completed.meta?.updateId ?? '');
      if (message === undefined) continue;
      const { success, failure } = completed.outcome ?? {};
      const [answer] = await decodeAll(converter, success?.payloads);
      message.answer = failureText(failure) ?? (typeof answer === 'string' ? answer : shortJson(answer));
    } else if (signal && !INTERNAL_SIGNALS.includes(signal.signalName ?? '')) {
      const value = (await decodeAll(converter, signal.input?.payloads))[0];
      messages.push(record('signal', signal.signalName ?? '', event, value, signal.identity ?? ''));
    } else if (event.workflowExecutionCancelRequestedEventAttributes) {
      const { cause, identity } = event.workflowExecutionCancelRequestedEventAttributes;
      messages.push(record('cancel', cause ?? '', event, undefined, identity ?? ''));
    }
  }
  return messages;
}

function record(
  kind: MessageRecord['kind'],
  name: string,
  { eventTime, principal }: HistoryEvent,
  value: unknown,
  identity: string,
): ReadMessage {
  const claimed = (value as { by?: unknown } | null | undefined)?.by;
  // `by` is what the sender says; the identity is the client that sent it.
  const by = typeof claimed === 'string' && claimed !== '' ? claimed : identity;
  return {
    kind,
    name,
    at: isoTime(eventTime),
    by,
    identity,
    ...(principal?.name ? { principal: [principal.type, principal.name].filter(Boolean).join(':') } : {}),
    argument: shortJson(value),
    value,
  };
}

/** Approvals with what the events know of who sent them: the run itself is only told a name. */
export function withSenders(approvals: Approval[], messages: ReadMessage[]): Approval[] {
  return approvals.map((approval) => {
    const sent = messages.find(
      ({ kind, name, by, value }) =>
        kind === 'update' &&
        name === 'approve' &&
        by === approval.by &&
        (value as { plan?: unknown } | null)?.plan === approval.plan,
    );
    if (sent === undefined) return approval;
    const { identity, principal } = sent;
    return { ...approval, identity, ...(principal === undefined ? {} : { principal }) };
  });
}
