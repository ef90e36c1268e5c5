import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { createAsking } from '../../../src/activities/guard/ask-at-once';
import { MAX_UNKNOWN_TURNS } from '../../../src/worker/options';

/** Entities that answer with what `answer` comes to. */
function entities(answer: () => Promise<unknown>) {
  let asked = 0;
  const client = {
    withDeadline: (_: number, body: () => unknown) => body(),
    workflow: {
      getHandle: () => ({
        executeUpdate: () => {
          asked += 1;
          return answer();
        },
      }),
    },
  } as unknown as Client;
  const askAtOnce = createAsking();
  return { ask: () => askAtOnce(client, 'guard/booking', 'admit', {}), asked: () => asked };
}

afterEach(() => void jest.useRealTimers());

describe('asking at once', () => {
  it('rests after one was late, and asks nobody meanwhile', async () => {
    jest.useFakeTimers();
    let late = true;
    const { ask, asked } = entities(async () => {
      if (late) throw new Error('DEADLINE_EXCEEDED');
      return 'admitted';
    });
    expect(await ask()).toBeUndefined();
    late = false;
    jest.advanceTimersByTime(4_999);
    expect([await ask(), asked()]).toEqual([undefined, 1]);
    jest.advanceTimersByTime(1);
    expect([await ask(), asked()]).toEqual(['admitted', 2]);
  });

  it('does not rest because of one that is not there yet', async () => {
    const { ask, asked } = entities(async () => {
      throw new WorkflowNotFoundError('not found', 'guard/booking', undefined);
    });
    await ask();
    await ask();
    expect(asked()).toBe(2);
  });

  it('leaves most of a worker to those who answer: no more than 12 ask side by side', async () => {
    let answer = (): void => undefined;
    const answered = new Promise<string>((resolve) => (answer = () => resolve('admitted')));
    const { ask, asked } = entities(() => answered);
    const asking = Array.from({ length: 40 }, ask);
    expect(asked()).toBe(12);
    // The guard that the first of a storm has started is as unknown to a worker as its runs are.
    expect(asked()).toBeLessThan(MAX_UNKNOWN_TURNS);
    answer();
    const answers = await Promise.all(asking);
    expect(answers.filter((one) => one === undefined)).toHaveLength(28);
    expect([await ask(), asked()]).toEqual(['admitted', 13]);
  });
});
