import { createReplayStore } from '../../src/alerts/replay-store';

let nowMs: number;
const store = (options: { maxEntries?: number; keepMs?: number } = {}) =>
  createReplayStore({ keepMs: 1_000, nowMs: () => nowMs, ...options });
beforeEach(() => {
  nowMs = 1_000_000;
});

describe('the replay store', () => {
  it('knows a delivery once it is remembered, of its source only', () => {
    const replays = store();
    expect(replays.has('sentry', 'a')).toBe(false);
    replays.remember('sentry', 'a');
    expect(replays.has('sentry', 'a')).toBe(true);
    expect(replays.has('sentry', 'b')).toBe(false);
    expect(replays.has('github', 'a')).toBe(false);
  });

  it('looks without remembering: what was answered 503 may come again', () => {
    const replays = store();
    expect([replays.has('sentry', 'a'), replays.has('sentry', 'a')]).toEqual([false, false]);
    expect(replays.size()).toBe(0);
  });

  it('forgets after its time, also when the delivery was repeated meanwhile', () => {
    const replays = store();
    replays.remember('sentry', 'a');
    nowMs += 999;
    replays.remember('sentry', 'a');
    expect(replays.has('sentry', 'a')).toBe(true);
    nowMs += 1;
    expect(replays.has('sentry', 'a')).toBe(false);
    replays.remember('sentry', 'a');
    nowMs += 999;
    expect(replays.has('sentry', 'a')).toBe(true);
  });

  it('gives up the oldest first when it is full, and what is over when something new comes', () => {
    const replays = store({ maxEntries: 3 });
    for (const id of ['a', 'b', 'c', 'a', 'd']) {
      replays.remember('sentry', id);
      nowMs += 1;
    }
    expect(['a', 'b', 'c', 'd'].filter((id) => replays.has('sentry', id))).toEqual(['b', 'c', 'd']);
    nowMs += 2_000;
    replays.remember('sentry', 'e');
    expect(replays.size()).toBe(1);
  });

  it('stays within its number whatever comes', () => {
    const replays = store({ maxEntries: 1_000, keepMs: 3_600_000 });
    for (let id = 0; id < 50_000; id++) {
      replays.remember('sentry', String(id));
      nowMs += 1;
    }
    expect(replays.size()).toBe(1_000);
    expect(replays.has('sentry', '48999')).toBe(false);
    expect(replays.has('sentry', '49000')).toBe(true);
  });
});
