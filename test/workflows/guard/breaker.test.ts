import { admit, closedBreaker, end, openAt, raise, reset, rest } from '../../../src/workflows/guard/breaker';
import { followedBy, memoryOf } from '../../../src/workflows/guard/memory';
import type { Admission, BreakerState } from '../../../src/contract/guard';

const MINUTE = 60_000;
const START = Date.parse('2026-11-21T03:00:00Z');
const limits = {
  windowMs: 60 * MINUTE,
  maxRecurrences: 3,
  cooldownMs: 5 * MINUTE,
  flapLimit: 5,
  maxConcurrent: 3,
};

let count = 0;
const ask = (changes: Partial<Admission> = {}): Admission => ({
  workflowId: `run-${(count += 1)}`,
  runId: `id-${count}`,
  runbook: 'relieveConnectionPool',
  fingerprint: 'pool',
  mode: 'auto',
  limits,
  rank: 5,
  place: { pool: 'alerts', shard: 0, limits: { alerts: 10, schedules: 10, shards: 1 } },
  again: false,
  ...changes,
});

/** One run after the other: admitted at `atMs`, ended a minute later. */
function go(
  state: BreakerState,
  atMs: number,
  outcome: 'SUCCEEDED' | 'NOTHING_TO_DO' | 'ROLLED_BACK' | 'PARTIAL' | 'NEEDS_HUMAN' | 'FAILED',
  changes: Partial<Admission> = {},
) {
  const request = ask(changes);
  const verdict = admit(state, request, atMs);
  end(state, { ...request, outcome }, atMs + MINUTE);
  return verdict;
}

describe('the breaker', () => {
  it('counts recurrences whatever came of them: the fourth run within the window must be approved, and is told once', () => {
    const state = closedBreaker();
    for (const turn of [0, 1, 2]) {
      expect(go(state, START + turn * 10 * MINUTE, 'SUCCEEDED')).toMatchObject({ mode: 'auto', reason: '' });
    }
    const fourth = go(state, START + 30 * MINUTE, 'SUCCEEDED');
    expect(fourth).toMatchObject({ mode: 'propose', reason: expect.stringContaining('3 runs') });
    expect(fourth.tripped).toMatch(/^relieveConnectionPool: 3 runs .*from now on: propose$/);
    const fifth = go(state, START + 40 * MINUTE, 'SUCCEEDED');
    expect(fifth).toMatchObject({ mode: 'propose' });
    expect(fifth.tripped).toBeUndefined();
    expect(openAt(state, START + 41 * MINUTE)).toHaveLength(1);
  });

  it('goes on counting in a guard that follows one that was terminated, with a run that was under way', () => {
    const first = followedBy({ target: 'booking' });
    for (const turn of [0, 1]) go(first.breaker, START + turn * 10 * MINUTE, 'SUCCEEDED');
    go(first.breaker, START + 15 * MINUTE, 'SUCCEEDED', { fingerprint: null });
    const underWay = ask();
    admit(first.breaker, underWay, START + 20 * MINUTE);
    const { breaker } = followedBy({ target: 'booking', before: memoryOf(first, true) });
    expect(breaker.past).toHaveLength(3);
    // It had not heard the answer.
    expect(admit(breaker, underWay, START + 21 * MINUTE)).toMatchObject({ mode: 'auto' });
    const again = followedBy({ target: 'booking', before: memoryOf({ ...first, breaker }, true) }).breaker;
    end(again, { ...underWay, outcome: 'SUCCEEDED' }, START + 22 * MINUTE);
    expect(again.past.at(-1)).toMatchObject({ outcome: 'SUCCEEDED', startedAt: expect.anything() as string });
    const fourth = admit(again, ask(), START + 23 * MINUTE);
    expect(fourth).toMatchObject({ mode: 'propose', reason: expect.stringContaining('3 runs') as string });
    expect(fourth.notBefore).toBe(new Date(START + 27 * MINUTE).toISOString());
  });

  it('remembers the newest runs for alerts, and nothing where there was none', () => {
    const state = followedBy({ target: 'booking' });
    expect(memoryOf(state, true)).not.toHaveProperty('recurring');
    for (let turn = 0; turn < 40; turn += 1) go(state.breaker, START + turn * MINUTE, 'FAILED');
    expect(memoryOf(state, true).recurring).toHaveLength(30);
    expect(memoryOf(state, true).recurring?.at(-1)?.startedAt).toBe(
      new Date(START + 39 * MINUTE).toISOString(),
    );
    expect(memoryOf(state, false)).not.toHaveProperty('recurring');
  });

  it('says once more what people must be told when the guard was terminated before the run had heard it', () => {
    const first = followedBy({ target: 'booking' });
    for (const turn of [0, 1, 2]) go(first.breaker, START + turn * 10 * MINUTE, 'SUCCEEDED');
    const fourth = ask();
    const { tripped } = admit(first.breaker, fourth, START + 30 * MINUTE);
    expect(tripped).toBeDefined();
    const { breaker } = followedBy({ target: 'booking', before: memoryOf(first, true) });
    expect(admit(breaker, fourth, START + 31 * MINUTE)).toMatchObject({ mode: 'propose', tripped });
    expect(admit(breaker, ask(), START + 32 * MINUTE).tripped).toBeUndefined();
  });

  it('is what it says while it is open, also when fewer runs than the limit lie within the window', () => {
    const state = closedBreaker();
    for (const turn of [0, 1, 2, 3]) go(state, START + turn * 5 * MINUTE, 'SUCCEEDED');
    const [open] = openAt(state, START + 70 * MINUTE);
    expect(open).toMatchObject({ mode: 'propose', until: new Date(START + 75 * MINUTE).toISOString() });
    const late = go(state, START + 70 * MINUTE, 'SUCCEEDED');
    expect(late).toMatchObject({
      mode: 'propose',
      reason: expect.stringMatching(/^open since 2026.*: 3 runs/) as string,
    });
    expect(late.tripped).toBeUndefined();
    // No window without a run yet.
    expect(go(state, START + 125 * MINUTE, 'SUCCEEDED').mode).toBe('propose');
    expect(go(state, START + 186 * MINUTE, 'SUCCEEDED').mode).toBe('auto');
  });

  it('closes by itself once the window has passed without a run', () => {
    const state = closedBreaker();
    for (const turn of [0, 1, 2, 3]) go(state, START + turn * MINUTE * 10, 'SUCCEEDED');
    expect(openAt(state, START + 91 * MINUTE)).toEqual([]);
    expect(go(state, START + 100 * MINUTE, 'SUCCEEDED')).toMatchObject({ mode: 'auto' });
  });

  it('counts each alert and each runbook for itself', () => {
    const state = closedBreaker();
    for (const turn of [0, 1, 2, 3]) go(state, START + turn * 10 * MINUTE, 'SUCCEEDED');
    expect(go(state, START + 40 * MINUTE, 'SUCCEEDED', { fingerprint: 'other' }).mode).toBe('auto');
    expect(go(state, START + 40 * MINUTE, 'SUCCEEDED', { runbook: 'resolveHighErrorRate' }).mode).toBe(
      'auto',
    );
  });

  it('does not count schedules as recurrences', () => {
    const state = closedBreaker();
    for (let turn = 0; turn < 10; turn += 1)
      expect(go(state, START + turn * MINUTE, 'SUCCEEDED', { fingerprint: null })).toEqual({
        state: 'admitted',
        mode: 'auto',
        reason: '',
      });
  });

  it('lets a run for the same alert look only after the cooldown', () => {
    const state = closedBreaker();
    go(state, START, 'SUCCEEDED');
    expect(go(state, START + 2 * MINUTE, 'SUCCEEDED').notBefore).toBe('2026-11-21T03:06:00.000Z');
    expect(go(state, START + 30 * MINUTE, 'SUCCEEDED').notBefore).toBeUndefined();
  });

  it('only observes an alert that flaps', () => {
    const state = closedBreaker();
    for (let turn = 0; turn < 5; turn += 1) go(state, START + turn * MINUTE, 'NOTHING_TO_DO');
    const sixth = go(state, START + 10 * MINUTE, 'NOTHING_TO_DO');
    expect(sixth).toMatchObject({ mode: 'observe', reason: expect.stringContaining('flaps') });
    expect(sixth.tripped).toContain('observe');
  });

  it('never raises a mode', () => {
    const state = closedBreaker();
    for (let turn = 0; turn < 4; turn += 1) go(state, START + turn * MINUTE, 'SUCCEEDED');
    expect(go(state, START + 10 * MINUTE, 'SUCCEEDED', { mode: 'observe' })).toMatchObject({
      mode: 'observe',
    });
  });

  it.each(['ROLLED_BACK', 'PARTIAL'] as const)(
    'steps down after %s, until a person steps it up',
    (outcome) => {
      const state = closedBreaker();
      go(state, START, outcome);
      const later = START + 24 * 60 * MINUTE;
      expect(go(state, later, 'SUCCEEDED', { fingerprint: 'other' })).toMatchObject({
        mode: 'propose',
        reason: expect.stringContaining(outcome),
      });
      go(state, later, 'NEEDS_HUMAN', { fingerprint: 'third' });
      expect(go(state, later, 'SUCCEEDED', { fingerprint: null }).mode).toBe('observe');
      raise(state, 'relieveConnectionPool', 'propose', 'ben', 'looked at it', later);
      expect(go(state, later, 'SUCCEEDED', { fingerprint: null }).mode).toBe('propose');
      raise(state, 'relieveConnectionPool', 'auto', 'ben', 'mended', later);
      expect(go(state, later, 'SUCCEEDED', { fingerprint: null }).mode).toBe('auto');
    },
  );

  it('steps down for a run that only the guard before it knew', () => {
    const state = closedBreaker();
    const { workflowId, runId, runbook } = ask();
    end(state, { workflowId, runId, runbook, outcome: 'NEEDS_HUMAN' }, START);
    expect(state.ceilings).toMatchObject({ relieveConnectionPool: { mode: 'observe', by: 'breaker' } });
  });

  it.each([undefined, '', '__proto__', 'not a name', 'x'.repeat(101), 7 as unknown as string])(
    'learns nothing about %p from a run that it does not know',
    (runbook) => {
      const state = closedBreaker();
      const { workflowId, runId } = ask();
      end(
        state,
        { workflowId, runId, ...(runbook === undefined ? {} : { runbook }), outcome: 'NEEDS_HUMAN' },
        START,
      );
      expect(state.ceilings).toEqual({});
    },
  );

  it('is not lifted by a milder outcome later', () => {
    const state = closedBreaker();
    go(state, START, 'NEEDS_HUMAN');
    go(state, START + MINUTE, 'ROLLED_BACK', { fingerprint: 'other' });
    expect(state.ceilings['relieveConnectionPool']?.mode).toBe('observe');
  });

  it('does not step down for a run that failed before it changed anything, but counts it', () => {
    const state = closedBreaker();
    for (let turn = 0; turn < 3; turn += 1) go(state, START + turn * 10 * MINUTE, 'FAILED');
    expect(state.ceilings).toEqual({});
    expect(go(state, START + 30 * MINUTE, 'FAILED').mode).toBe('propose');
  });

  it('keeps to the cap of concurrent runs, in order, and answers a repeated question the same', () => {
    const state = closedBreaker();
    const first = [ask({ fingerprint: 'a' }), ask({ fingerprint: 'b' }), ask({ fingerprint: 'c' })];
    for (const one of first) expect(admit(state, one, START).state).toBe('admitted');
    expect(admit(state, first[0] as Admission, START)).toMatchObject({ state: 'admitted' });
    expect(state.running).toHaveLength(3);
    const late = ask({ fingerprint: 'd' });
    expect(admit(state, late, START)).toMatchObject({
      state: 'queued',
      reason: expect.stringContaining('3 of 3'),
    });
    expect(admit(state, ask({ fingerprint: 'e', place: null }), START).state).toBe('admitted');
    const scheduled = ask({ place: { ...late.place!, pool: 'schedules' } });
    expect(admit(state, scheduled, START).state).toBe('admitted');
    end(state, { ...(first[1] as Admission), outcome: 'SUCCEEDED' }, START);
    expect(admit(state, late, START).state).toBe('admitted');
  });

  it('gives the place of a run that only waits to another one, and counts it among the recurrences all the same', () => {
    const state = closedBreaker();
    const waiting = Array.from({ length: 3 }, () => ask());
    for (const one of waiting) expect(admit(state, one, START).state).toBe('admitted');
    for (const one of waiting) rest(state, one);
    const next = ask({ fingerprint: 'other' });
    expect(admit(state, next, START).state).toBe('admitted');
    expect(admit(state, ask(), START)).toMatchObject({ state: 'admitted', mode: 'propose' });
    expect(admit(state, ask({ fingerprint: 'c' }), START).state).toBe('admitted');
    const back = { ...waiting[0]!, again: true };
    expect(admit(state, back, START)).toMatchObject({
      state: 'queued',
      reason: expect.stringContaining('3 of 3'),
    });
    end(state, { ...next, outcome: 'SUCCEEDED' }, START);
    // Judged anew it would be the fifth of its alert.
    expect(admit(state, back, START)).toMatchObject({ state: 'admitted', mode: 'auto' });
  });

  it('lets a run that has to rest first have its place afterwards', () => {
    const state = closedBreaker();
    go(state, START, 'SUCCEEDED');
    const resting = Array.from({ length: 3 }, () => ask());
    for (const one of resting) expect(admit(state, one, START + 2 * MINUTE)).toHaveProperty('notBefore');
    expect(admit(state, ask({ fingerprint: 'other' }), START + 2 * MINUTE).state).toBe('admitted');
    expect(admit(state, { ...resting[0]!, again: true }, START + 7 * MINUTE)).not.toHaveProperty(
      'notBefore',
      expect.any(String),
    );
  });

  it('says all of its answer again to a run that never heard it, and not to one that comes back', () => {
    const state = closedBreaker();
    for (const turn of [0, 1, 2]) go(state, START + turn * MINUTE, 'SUCCEEDED');
    const fourth = ask();
    const answer = admit(state, fourth, START + 4 * MINUTE);
    expect(answer).toMatchObject({ tripped: expect.any(String), notBefore: '2026-11-21T03:08:00.000Z' });
    expect(admit(state, fourth, START + 5 * MINUTE)).toEqual(answer);
    // It rests, so it has no place.
    expect(state.running).toMatchObject([{ pool: null }]);
    const back = admit(state, { ...fourth, again: true }, START + 8 * MINUTE);
    expect([back.mode, back.tripped, back.notBefore]).toEqual(['propose', undefined, undefined]);
    expect(state.running).toMatchObject([{ pool: 'alerts' }]);
  });

  it('forgets what it had against a runbook when a person says so', () => {
    const state = closedBreaker();
    for (let turn = 0; turn < 4; turn += 1) go(state, START + turn * MINUTE, 'SUCCEEDED');
    reset(state, 'relieveConnectionPool');
    expect(openAt(state, START + 5 * MINUTE)).toEqual([]);
    expect(go(state, START + 5 * MINUTE, 'SUCCEEDED').mode).toBe('auto');
  });

  it('stays small whatever happens to it', () => {
    const state = closedBreaker();
    for (let turn = 0; turn < 5_000; turn += 1)
      go(state, START + turn * 1_000, 'NOTHING_TO_DO', { fingerprint: `alert-${turn % 2_000}` });
    expect(state.past.length).toBeLessThanOrEqual(500);
    for (let turn = 0; turn < 1_000; turn += 1)
      end(state, { workflowId: 'x', runId: `${turn}`, runbook: `r${turn}`, outcome: 'PARTIAL' }, START);
    expect(Object.keys(state.ceilings).length).toBeLessThanOrEqual(200);
    expect(JSON.stringify(state).length).toBeLessThan(400_000);
  });
});
