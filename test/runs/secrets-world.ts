import type { WorkflowHandle } from '@temporalio/client';
import { historyOf, type Driver } from './harness';

export const sh = (script: string) => ({ run: ['sh', '-c', script], timeoutSeconds: 60 });

/** Pages about secrets. */
export const callsOf = ({ stack }: Driver) =>
  stack.inbox.received().filter(({ kind, text }) => kind === 'page' && text.includes('could not be rotated'));

/** What the application answers to a session. */
export const answerTo = async (driver: Driver, token: string): Promise<number> =>
  (await fetch(`${driver.stack.app.url}/api/session`, { headers: { authorization: `Bearer ${token}` } }))
    .status;

/** Signs in somebody. */
export const sessionOf = async (driver: Driver): Promise<string> => {
  const answer = await fetch(`${driver.stack.app.url}/api/sessions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${driver.stack.booking.environment['BOOKING_OPERATIONS_TOKEN']}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ subject: 'ana' }),
  });
  return ((await answer.json()) as { token: string }).token;
};

/** No value of any key, in any payload. */
export async function expectNoValues(
  handle: WorkflowHandle,
  secret: string,
  values: string[],
): Promise<void> {
  const history = await historyOf(handle);
  expect(history.includes(secret)).toBe(true);
  expect(values.filter((value) => history.includes(value))).toEqual([]);
}
