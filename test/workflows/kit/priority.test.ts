import { SEVERITIES } from '../../../src/contract/modes';
import { priorityOf } from '../../../src/contract/priority';

it('the worse it is, the earlier a run comes, and none comes before what runs wait for', () => {
  const keys = SEVERITIES.map((priority) => priorityOf({ service: 'shop', priority }).priorityKey);
  // Temporal knows five, of which the first is that of guards.
  expect(keys).toEqual([2, 3, 4, 5]);
});

it('a run has the share of its service, whose name may be longer than what Temporal takes', () => {
  expect(priorityOf({ service: 'shop' })).toEqual({ priorityKey: 4, fairnessKey: 'shop' });
  expect(priorityOf({ service: 's'.repeat(200) }).fairnessKey).toHaveLength(64);
  expect(priorityOf(undefined)).not.toHaveProperty('fairnessKey');
});
