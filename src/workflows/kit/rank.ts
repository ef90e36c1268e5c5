import { SEVERITIES } from '../../contract/modes';
import type { RunState } from './state';

const DEFAULT_SEVERITY = 'P2';

/** Among those who wait for the same: the lowest is served first. Whoever has a person's word comes first of its severity. */
export function rankOf({ policy }: Pick<RunState, 'policy'>, answered = false): number {
  const severity = SEVERITIES.indexOf(policy?.priority ?? DEFAULT_SEVERITY);
  return 2 * severity + (answered ? 0 : 1);
}
