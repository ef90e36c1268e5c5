import { setTimeout as sleep } from 'node:timers/promises';
import type { OperationConfig } from '../../../config/http-operation-schema';
import { fail } from '../failure';
import { isOk, jsonOf, requireOk, type HttpAnswer } from '../http';
import { valueAt } from '../json';

type PollConfig = NonNullable<OperationConfig['poll']>;

/**
 * Asks after what an answer 202 says has begun, until it is over. Returns the last answer. The address must be on the
 * server that was asked: credentials go along. Throws HttpFailed.
 */
export async function awaitEnd(
  poll: PollConfig,
  first: HttpAnswer,
  askAt: (address: URL) => Promise<HttpAnswer>,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const address = addressIn(poll, first);
  const deadline = Date.now() + poll.forSeconds * 1_000;
  for (let waitMs = first.retryAfterMs ?? poll.everySeconds * 1_000; ;) {
    if (Date.now() + waitMs > deadline) throw tooLate(poll, first.host);
    await pause(waitMs, signal);
    const answer = await askAt(address);
    // The server is busy, not the work lost.
    if (answer.status !== 429 && answer.status < 500) {
      requireOk(answer);
      if (isOver(poll, answer)) return answer;
    }
    waitMs = answer.retryAfterMs ?? poll.everySeconds * 1_000;
  }
}

function addressIn({ addressField }: PollConfig, first: HttpAnswer): URL {
  const { host, location, origin } = first;
  const found = addressField === undefined ? location : valueAt(jsonOf(first), addressField);
  const where = addressField === undefined ? 'a header Location' : `an address at "${addressField}"`;
  if (typeof found !== 'string' || !URL.canParse(found, origin))
    throw fail('HttpFailed', `${host} answered 202 without ${where}; correct \`poll\` in the configuration.`);
  const address = new URL(found, origin);
  if (address.origin === origin) return address;
  throw fail(
    'HttpFailed',
    `${host} answered 202 and names ${address.host} to ask there, which gets no credentials; ask that server by an operation of its own.`,
  );
}

function isOver({ field, done, failed }: PollConfig, answer: HttpAnswer): boolean {
  if (field === undefined) return answer.status !== 202;
  const state = valueAt(jsonOf(answer), field);
  if (typeof state !== 'string')
    throw fail(
      'HttpFailed',
      `the answer of ${answer.host} has no text at "${field}"; correct poll.field in the configuration.`,
    );
  const word = state.toLowerCase();
  if (failed.some((one) => one.toLowerCase() === word))
    throw fail(
      'HttpFailed',
      `${answer.host} says that it ended as "${state.slice(0, 100)}". Look there why.`,
    );
  return isOk(answer) && done.some((one) => one.toLowerCase() === word);
}

function tooLate({ forSeconds }: PollConfig, host: string): Error {
  return fail(
    'HttpFailed',
    `${host} accepted it (202), and it was not over within ${forSeconds} s. It may still end; look there before it is started again.`,
    { details: { late: true } },
  );
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    throw signal.reason;
  }
}
