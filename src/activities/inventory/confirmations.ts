import { targetOf, type Fence, type Place } from '../../contract/place';
import { numberOf } from '../observe/reading';
import { readSource } from '../observe/source';
import { runFencedChange } from '../postgres/session/fenced-change';
import { byHand } from '../support/by-hand';
import type { CommandResult } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { environmentInventoryOf } from './settings';

/** Whether bookings are confirmed at the moment. */
export interface Confirmations {
  /** Whether somebody has said how they are stopped. */
  canStop: boolean;
  /** Null where nobody can say. */
  stopped: boolean | null;
  /** Whether somebody has said who knows. */
  watched: boolean;
  detail: string;
  askMinutes: number;
  /** How long the application may take to notice that they were stopped or resumed. */
  settleMs: number;
  /** The exact way to resume them, for people; empty where nobody has said. */
  resumeByHand: string;
}

/** How many updates were refused lately because there were not enough units. */
export interface Rejections {
  /** Null where nobody can say. */
  count: number | null;
  detail: string;
}

/** Whoever confirms bookings. */
export function createConfirmationActivities(deps: ActivityDeps) {
  const change = async (place: Place & { fence: Fence }, way: 'stop' | 'resume'): Promise<CommandResult> => {
    const { confirmations } = environmentInventoryOf(deps, place);
    if (confirmations === undefined)
      throw fail(
        'InvalidInput',
        `${targetOf(place)} has no inventory.confirmations any more, which the plan had; it says how they are stopped and resumed. Put it back.`,
      );
    return runFencedChange(deps, place, confirmations[way], `${way} confirmations`);
  };
  return {
    /** What the configured source says of confirmations; that it cannot be read, or understood, is an answer. Reads only. */
    async readConfirmations(place: Place): Promise<Confirmations> {
      const { confirmations } = environmentInventoryOf(deps, place);
      const facts = {
        canStop: confirmations !== undefined,
        askMinutes: confirmations?.askMinutes ?? 0,
        settleMs: (confirmations?.settleSeconds ?? 0) * 1_000,
        resumeByHand: confirmations === undefined ? '' : byHand(confirmations.resume, place),
      };
      if (confirmations?.state === undefined)
        return { ...facts, watched: false, stopped: null, detail: 'not looked at: no source is configured' };
      const { stopped: none, taken, ...source } = confirmations.state;
      const action = `look at the confirmations of ${targetOf(place)}`;
      const reading = await readSource(deps, place, source, { action, yesOrNo: true });
      if (!reading.known)
        return { ...facts, watched: true, stopped: null, detail: `not known: ${reading.detail}` };
      const said = String(reading.value).trim();
      const shown = `it says "${said.slice(0, 100)}"`;
      if (said !== none && said !== taken)
        return {
          ...{ ...facts, watched: true, stopped: null },
          detail: `not known: ${shown}, and inventory.confirmations.state expects "${none}" while none are taken, or "${taken}" while they are`,
        };
      const stopped = said === none;
      return {
        ...{ ...facts, watched: true, stopped },
        detail: `${shown}: ${stopped ? 'stopped' : 'taken'}`,
      };
    },

    /** As configured. A retry does it again. Throws InvalidInput, StaleFencingToken, FenceBusy, CommandFailed, HttpFailed. */
    async stopConfirmations(input: Place & { fence: Fence }): Promise<CommandResult> {
      return change(input, 'stop');
    },

    /** As configured. A retry does it again. Throws InvalidInput, StaleFencingToken, FenceBusy, CommandFailed, HttpFailed. */
    async resumeConfirmations(input: Place & { fence: Fence }): Promise<CommandResult> {
      return change(input, 'resume');
    },

    /** What the configured source says; that it cannot be read is an answer. Reads only. */
    async readRejections(place: Place): Promise<Rejections> {
      const { rejections } = environmentInventoryOf(deps, place);
      if (rejections === undefined)
        return { count: null, detail: 'not looked at: inventory.rejections is not configured' };
      const action = `count refused updates of ${targetOf(place)}`;
      const reading = await readSource(deps, place, rejections, { action });
      if (!reading.known) return { count: null, detail: `not known: ${reading.detail}` };
      const count = numberOf(reading.value);
      if (count === undefined || count < 0)
        return { count: null, detail: `not known: "${String(reading.value).slice(0, 100)}" is no count` };
      return { count, detail: `${count} refused for want of units` };
    },
  };
}
