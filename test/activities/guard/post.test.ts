import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { postLetters } from '../../../src/activities/guard/post';
import type { Letter } from '../../../src/contract/guard';

/** Takes signals, but none for runs that have ended; those of `slow` take a moment longer. */
function postOffice({ ended = [], slow = [] }: { ended?: string[]; slow?: string[] } = {}) {
  const said: string[] = [];
  const client = {
    workflow: {
      getHandle: (workflowId: string) => ({
        signal: async (_: string, argument: string) => {
          if (ended.includes(workflowId)) throw new WorkflowNotFoundError('gone', workflowId, undefined);
          if (slow.includes(argument)) await new Promise((resolve) => setImmediate(resolve));
          said.push(`${workflowId}: ${argument}`);
        },
      }),
    },
  } as unknown as Client;
  return { said, post: (letters: Letter[]) => postLetters(client, 'runbooks', letters) };
}

const letter = (workflowId: string, argument: string, runId: string | undefined = 'r1'): Letter => ({
  workflowId,
  ...(runId === '' ? {} : { runId }),
  signal: 'verdict',
  argument,
});

describe('letters', () => {
  it('to one run are said in their order, whatever each takes', async () => {
    const { said, post } = postOffice({ slow: ['first'] });
    await post([letter('one', 'first'), letter('other', 'only'), letter('one', 'second')]);
    expect(said).toEqual(['other: only', 'one: first', 'one: second']);
  });

  it('say which runs have ended, and are said to the others all the same', async () => {
    const { said, post } = postOffice({ ended: ['dead', 'entity'] });
    const gone = await post([
      letter('dead', 'place'),
      letter('entity', 'free', ''),
      letter('lives', 'place'),
    ]);
    expect(gone).toEqual([{ workflowId: 'dead', runId: 'r1' }]);
    expect(said).toEqual(['lives: place']);
  });
});
