import type { Letter } from '../../../src/contract/guard';
import { say } from '../../../src/workflows/guard/letters';
import { enqueue } from '../../../src/workflows/guard/waiting';
import { rankOf } from '../../../src/workflows/kit/rank';
import { POLICY } from '../kit/harness';

describe('what a guard carries', () => {
  it('has the most urgent of those who wait first, and each severity in the order in which it came', () => {
    const queue: { rank: number; name: string }[] = [];
    for (const [rank, name] of [
      [5, 'a'],
      [1, 'b'],
      [5, 'c'],
      [4, 'd'],
      [1, 'e'],
    ] as const)
      expect(enqueue(queue, { rank, name })).toBeUndefined();
    expect(queue.map(({ name }) => name)).toEqual(['b', 'e', 'd', 'a', 'c']);
  });

  it('is bounded: of those who wait the least urgent has to ask again, whoever came last', () => {
    const queue: { rank: number; name: string }[] = [];
    for (let index = 0; index < 500; index += 1) enqueue(queue, { rank: 5, name: `old-${index}` });
    expect(enqueue(queue, { rank: 1, name: 'urgent' })).toMatchObject({ name: 'old-499' });
    expect(enqueue(queue, { rank: 5, name: 'late' })).toMatchObject({ name: 'late' });
    expect([queue.length, queue[0]?.name]).toEqual([500, 'urgent']);
  });

  it('is bounded: what it cannot say any more is not said, and what it was about to say is', () => {
    const state: { letters: Letter[] } = { letters: [] };
    for (let index = 0; index < 1_100; index += 1)
      say(state, { workflowId: `run-${index}`, signal: 'verdict', argument: {} });
    expect(state.letters).toHaveLength(1_000);
    expect(state.letters[0]?.workflowId).toBe('run-0');
  });
});

it('whoever has a person’s word comes before others of its severity, and behind what is worse', () => {
  const rank = (priority: 'P0' | 'P1' | 'P2', answered = false) =>
    rankOf({ policy: { ...POLICY, priority } }, answered);
  expect(rank('P1', true)).toBeLessThan(rank('P1'));
  expect(rank('P1', true)).toBeGreaterThan(rank('P0'));
  expect(rank('P1')).toBeLessThan(rank('P2', true));
  // As it was before there were any.
  expect(rankOf({ policy: POLICY })).toBe(rank('P2'));
});
