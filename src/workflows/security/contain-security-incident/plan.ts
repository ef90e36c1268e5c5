import type { BreachScope } from '../../../activities/security/breach-scope';
import type { Containment, Isolation } from '../../../activities/security/containment';
import type { InputOf } from '../../../catalogue/card';
import { targetOf } from '../../../contract/place';
import { countOf, duration, type PlanDraft } from '../../kit';
import { applicationIn } from '../../application/serving';
import type { containSecurityIncidentCard } from './card';

export type Input = InputOf<typeof containSecurityIncidentCard>;

/** What was not done, and why; the rest goes on. */
export interface Log {
  denied: string[];
  failed: string[];
}

/** What stays when the run has ended, for all that is known of it. */
export interface Standing extends Isolation {
  /** In force: its probe found it open before, and isolated since. */
  state: 'in force' | 'set, not verified' | 'set, and open' | 'perhaps set';
  /** Why, where that is not plain. */
  remark: string;
}

export function titleOf({ name, who }: Pick<Isolation, 'name' | 'who'>): string {
  return who === '' ? name : `${name} ${who}`;
}

/** In the order in which it is begun: what asks holds up nothing else. */
export function planFor(input: Input, means: Containment, unchecked: string[]): PlanDraft {
  const target = targetOf(input);
  const { isolations, authoritiesMs, usersMs } = means;
  const isolating = (asked: boolean) =>
    isolations
      .filter(({ asks }) => asks === asked)
      .map((one) => ({
        action: `${asked ? 'ask, then isolate' : 'isolate'}: ${titleOf(one)}`,
        target: applicationIn(input),
        detail: `${one.does}; to end it: ${one.howToEnd}`,
      }));
  return {
    actions: [
      { action: means.preserves ? 'preserve the logs' : 'a task for a person: preserve the logs', target },
      {
        action: `call ${means.rungName ?? 'the first of the ladder'}, open or join an incident`,
        target: input.service,
      },
      ...isolating(false),
      ...(isolations.length === 0 ? [{ action: 'a task for a person: isolate', target }] : []),
      {
        action: means.audited ? 'count in the audit log' : 'a task for a person: find out how far it went',
        target,
      },
      input.secrets.length === 0
        ? { action: 'a task for a person: rotate what may be known', target }
        : { action: `rotate at once: ${input.secrets.join(', ')}`, target: applicationIn(input) },
      ...isolating(true),
      {
        action: 'tasks for people: authorities, users, patches, timeline',
        target: input.service,
        detail: `authorities within ${duration(authoritiesMs)}, users within ${duration(usersMs)}`,
      },
    ],
    warnings: [
      'isolations stay when this run has ended, until a person ends them',
      ...isolations
        .filter(({ reversible }) => !reversible)
        .map((one) => `${titleOf(one)} cannot be taken back: ${one.does}`),
      ...means.unconfigured,
      ...unchecked,
    ],
    facts: { addresses: input.addresses.join(', '), actors: input.actors.join(', ') },
  };
}

export function scopeText({ entries, people, actions, actors, addresses, unfiltered }: BreachScope): string {
  const counted = (count: number | null, noun: string) =>
    count === null ? `an unknown number of ${noun}` : `${count} ${noun}`;
  const named = actions.map(({ name, count }) => `${name} (${count})`).join(', ');
  return [
    `${entries} entries`,
    `concerning ${counted(people, 'people')}`,
    `by ${counted(actors, 'actors')} from ${counted(addresses, 'addresses')}`,
    ...(named === '' ? [] : [`most often ${named}`]),
    ...(unfiltered.length === 0
      ? []
      : [`not limited to the ${unfiltered.join(' and ')} named, because no column says those`]),
  ].join('; ');
}

/** `1 isolation in force: block 203.0.113.7 (to end it: ...); 1 isolation set, not verified: ...`. */
export function staysText(standing: Standing[]): string {
  if (standing.length === 0) return 'nothing stays isolated by this run';
  const states = [...new Set(standing.map(({ state }) => state))];
  return states
    .map((state) => {
      const those = standing.filter((one) => one.state === state);
      return `${countOf(those.length, 'isolation')} ${state}: ${those.map(endText).join('; ')}`;
    })
    .join('; ');
}

function endText(one: Standing): string {
  const remark = one.remark === '' ? '' : `${one.remark}; `;
  return `${titleOf(one)} (${remark}${one.reversible ? 'to end it: ' : ''}${one.howToEnd})`;
}
