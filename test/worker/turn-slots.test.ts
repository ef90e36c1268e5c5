import type { CustomSlotSupplier, SlotPermit, WorkflowSlotInfo } from '@temporalio/worker';
import { createTurnSlots, type TurnLimits } from '../../src/worker/turn-slots';
import { countUnderWay } from '../../src/worker/under-way';

const LIMITS: TurnLimits = { all: 4, unknown: 2, crowd: 10, trickleMs: 500 };
let underWay = 0;
let slots: CustomSlotSupplier<WorkflowSlotInfo>;

beforeEach(() => {
  jest.useFakeTimers();
  underWay = 0;
  slots = createTurnSlots(LIMITS, () => underWay);
});
afterEach(() => jest.useRealTimers());

/** A reservation, and what became of it. */
function reserve(isSticky: boolean, signal = new AbortController().signal) {
  const state: { permit?: SlotPermit; error?: unknown } = {};
  const about = {
    slotType: 'workflow',
    taskQueue: 'q',
    workerIdentity: 'w',
    workerBuildId: '',
    isSticky,
  } as const;
  slots.reserveSlot(about, signal).then(
    (permit) => (state.permit = permit),
    (error: unknown) => (state.error = error),
  );
  return state;
}
const begun = () => reserve(true);
const fresh = () => reserve(false);
const settle = (ms = 0) => jest.advanceTimersByTimeAsync(ms);
const end = (one: { permit?: SlotPermit }) => slots.releaseSlot({ permit: one.permit! });

describe('turns', () => {
  it('of runs that nobody has begun yet leave room for those of runs that have', async () => {
    const many = [fresh(), fresh(), fresh()];
    await settle();
    expect(many.map(({ permit }) => permit !== undefined)).toEqual([true, true, false]);
    const others = [begun(), begun(), begun()];
    await settle();
    expect(others.map(({ permit }) => permit !== undefined)).toEqual([true, true, false]);
    end(others[0]!);
    await settle();
    expect([many[2]!.permit, others[2]!.permit]).toEqual([undefined, expect.anything()]);
    end(many[0]!);
    await settle();
    expect(many[2]!.permit).toBeDefined();
  });

  it('begin few runs at a time while many are under way, and as many as before when those have ended', async () => {
    underWay = LIMITS.crowd;
    const first = fresh();
    await settle();
    expect(first.permit).toBeDefined();
    end(first);
    const second = fresh();
    await settle(LIMITS.trickleMs - 100);
    expect(second.permit).toBeUndefined();
    await settle(200);
    expect(second.permit).toBeDefined();
    end(second);
    const third = fresh();
    await settle();
    expect(third.permit).toBeUndefined();
    underWay = LIMITS.crowd - 1;
    await settle(100);
    expect(third.permit).toBeDefined();
  });

  it('of runs that have begun wait for no crowd', async () => {
    underWay = 10 * LIMITS.crowd;
    const many = [begun(), begun(), begun()];
    await settle();
    expect(many.every(({ permit }) => permit !== undefined)).toBe(true);
  });

  it('are not waited for by those who gave up', async () => {
    const many = [begun(), begun(), begun(), begun()];
    const gaveUp = new AbortController();
    const waits = reserve(true, gaveUp.signal);
    await settle();
    gaveUp.abort('no longer needed');
    end(many[0]!);
    const next = begun();
    await settle();
    expect([waits.permit, waits.error, next.permit]).toEqual([
      undefined,
      'no longer needed',
      expect.anything(),
    ]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('go back where whoever waited gave up in the moment in which they came', async () => {
    const gaveUp = new AbortController();
    reserve(false, gaveUp.signal);
    gaveUp.abort('no longer needed');
    const many = [fresh(), fresh(), fresh()];
    await settle();
    expect(many.map(({ permit }) => permit !== undefined)).toEqual([true, true, false]);
  });

  it('are given at once, or not at all, to those who cannot wait', () => {
    const about = { slotType: 'workflow', taskQueue: 'q', workerIdentity: 'w', workerBuildId: '' } as const;
    const permits = Array.from({ length: 5 }, () => slots.tryReserveSlot({ ...about, isSticky: true }));
    expect(permits.map((permit) => permit !== null)).toEqual([true, true, true, true, false]);
  });
});

describe('runs under way', () => {
  const of = (activityType: string, runId: string) =>
    ({ info: { activityType, workflowExecution: { workflowId: runId, runId } } }) as never;

  it('are those that asked for a place and have not given it back, or a minute later are nobody’s concern', async () => {
    const { count, interceptor } = countUnderWay();
    const say = async (activity: string, runId: string, fails = false) =>
      interceptor(of(activity, runId)).inbound!.execute!({} as never, async () => {
        if (fails) throw new Error('not reached');
      });
    await say('seekAdmission', 'a');
    await say('seekAdmission', 'a');
    await say('seekAdmission', 'b');
    await say('prepare', 'c');
    expect(count()).toBe(2);
    await expect(say('leaveGuards', 'a', true)).rejects.toThrow('not reached');
    expect(count()).toBe(1);
    await settle(61_000);
    expect(count()).toBe(0);
  });
});
