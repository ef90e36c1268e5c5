import { inRounds } from '../../../src/workflows/payments/rounds';
import { findingsOf, type Look } from '../../../src/workflows/payments/replay-stripe-events/plan';

/** Everything that is sent arrives at once, or never. */
function receiver(spoiled: string[], over: string[] = []) {
  const sent: string[][] = [];
  const rounds = {
    maxRounds: 3,
    patienceMs: 0,
    lookEveryMs: 1,
    send: (items: string[]) => {
      sent.push(items);
      return Promise.resolve(items.filter((item) => over.includes(item)));
    },
    open: (items: string[]) =>
      Promise.resolve(items.filter((item) => spoiled.includes(item) || !sent.flat().includes(item))),
  };
  return { sent, rounds };
}

it('sends the others only after one of the trial has arrived', async () => {
  const { sent, rounds } = receiver(['a', 'b']);
  expect(await inRounds(rounds, ['a', 'b', 'c', 'd', 'e'])).toEqual({ open: ['a', 'b'], round: 2 });
  expect(sent).toEqual([
    ['a', 'b', 'c'],
    ['d', 'e'],
    ['a', 'b'],
  ]);
});

it('tries others the next time where nothing of a trial has arrived', async () => {
  const { sent, rounds } = receiver(['a', 'b', 'c']);
  const first = await inRounds(rounds, ['a', 'b', 'c', 'd', 'e']);
  expect([first, sent]).toEqual([{ open: ['d', 'e', 'a', 'b', 'c'], round: 1 }, [['a', 'b', 'c']]]);
  const { open } = await inRounds(rounds, first.open, first.round);
  expect(open.sort()).toEqual(['a', 'b', 'c']);
  expect(sent[1]).toEqual(['d', 'e', 'a']);
});

it('goes on past those that need not be waited for', async () => {
  const { sent, rounds } = receiver([], ['a', 'b', 'c']);
  expect((await inRounds(rounds, ['a', 'b', 'c', 'd'])).open).toEqual([]);
  expect(sent).toEqual([['a', 'b', 'c'], ['d']]);
});

it('leaves to people what nobody has looked at', () => {
  const look = {
    events: { lost: [], doubled: [], more: true },
    subscriptions: { findings: [] },
  } as unknown as Look;
  expect(findingsOf(look)).toEqual([expect.stringMatching(/nobody has looked at the oldest/)]);
});
