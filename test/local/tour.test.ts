import type { Outcome } from '../../src/contract/report';
import { verdictLine, type StopResult } from '../../src/local/tour';

const stop = (outcome: Outcome, expected: Outcome) =>
  verdictLine({ title: 'A migration', report: { outcome }, expected } as StopResult);

it('a tick of the tour means that a run ended as it should, and stands above nothing else', () => {
  expect(stop('SUCCEEDED', 'SUCCEEDED')).toBe('✔ A migration');
  expect(stop('ROLLED_BACK', 'ROLLED_BACK')).toBe('✔ A migration');
  expect(stop('FAILED', 'SUCCEEDED')).toBe('✖ expected SUCCEEDED: A migration');
});
