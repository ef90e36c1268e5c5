import { setTimeout as sleep } from 'node:timers/promises';
import { targetOf, type Fence, type Place } from '../../../contract/place';
import { duration } from '../../../contract/text';
import { runFencedChange } from '../../postgres/session/fenced-change';
import type { CommandResult } from '../../support/configured-command';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { currentActivity, withProgress } from '../../support/heartbeat';
import { aiWorkersOf } from '../settings';
import { providerOf, readCurrent } from './provider';

export interface SwitchInput extends Place {
  from: string;
  to: string;
  /** Of a way back: a third one, which somebody has switched to meanwhile, stays. */
  leaveThird?: boolean;
  fence: Fence;
}

const READ_EVERY_MS = 500;

export function createAiChangeActivities(deps: ActivityDeps) {
  const pace = async (name: 'apply' | 'restore', { fence, ...place }: Place & { fence: Fence }) => {
    const { slower } = aiWorkersOf(deps, place);
    if (slower === undefined)
      throw fail('InvalidInput', 'aiWorkers.slower is missing in runbooks.yaml. Add it, then start again.');
    return runFencedChange(deps, { ...place, fence }, slower[name], `${name} slower AI workers`);
  };
  return {
    /**
     * Has another provider generate, as configured, and reads that back. A retry that finds it so says that it is done. Throws
     * ProviderChanged where it is a third one meanwhile and not `leaveThird`, ProviderUnknown (tried again), ProviderNotSwitched, and as
     * `scaleQueueWorkers`.
     */
    async switchAiProvider({
      from,
      to,
      fence,
      leaveThird = false,
      ...place
    }: SwitchInput): Promise<{ detail: string }> {
      const config = aiWorkersOf(deps, place);
      providerOf(config, to);
      const { name, detail } = await readCurrent(deps, place, config);
      const where = targetOf(place);
      if (name === to) return { detail: `${where} generates with ${to}` };
      if (name === null)
        throw fail('ProviderUnknown', `Nobody can tell who generates for ${where}: ${detail}.`, {
          retryable: true,
        });
      if (name !== from && leaveThird)
        return {
          detail: `${where} generates with ${name}: somebody else has switched, and that is left to them`,
        };
      if (name !== from)
        throw fail(
          'ProviderChanged',
          `${where} generates with ${name} meanwhile, instead of ${from}: somebody else has switched. That is left to them.`,
        );
      if (config.switch === undefined)
        throw fail('InvalidInput', 'aiWorkers.switch is missing in runbooks.yaml. Add it, then start again.');
      await runFencedChange(deps, { ...place, fence }, config.switch.change, `switch to ${to}`, {
        provider: to,
      });
      const settleMs = config.settleSeconds * 1_000;
      await untilCurrent(() => readCurrent(deps, place, config), { to, where, settleMs });
      return { detail: `${where} generates with ${to} instead of ${from}` };
    },

    /** Lets the workers ask less often, as configured. A retry does it again: whoever configures it makes that harmless. */
    async slowAiWorkers(input: Place & { fence: Fence }): Promise<CommandResult> {
      return pace('apply', input);
    },

    /** As often as usual, as configured. A retry does it again: whoever configures it makes that harmless. */
    async restoreAiWorkers(input: Place & { fence: Fence }): Promise<CommandResult> {
      return pace('restore', input);
    },
  };
}

async function untilCurrent(
  read: () => Promise<{ name: string | null; detail: string }>,
  { to, where, settleMs }: { to: string; where: string; settleMs: number },
): Promise<void> {
  const { signal } = currentActivity();
  const progress = { phase: `until ${to} generates`, done: 0, total: 0, unit: 'statements' as const };
  await withProgress(progress, async () => {
    for (const deadline = Date.now() + settleMs; ;) {
      const now = await read();
      if (now.name === to) return;
      if (Date.now() >= deadline)
        throw fail(
          'ProviderNotSwitched',
          `${where} was switched to ${to}, and ${duration(settleMs)} later its provider is still ${now.name ?? `not known (${now.detail})`}. Look at what aiWorkers.switch does, and at aiWorkers.current.`,
        );
      await sleep(READ_EVERY_MS, undefined, { signal });
    }
  });
}
