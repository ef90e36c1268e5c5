import type { GuardState } from '../../../src/contract/guard';
import { alertOf, POLICY, useEnvironment, withKit, type Kit } from './harness';

const env = useEnvironment();

let count = 0;
const service = () => `service-${(count += 1)}`;
const byAlert = ({ start }: Kit, fingerprint?: string, name: Parameters<Kit['start']>[0] = 'fiveMovements') =>
  start(name, `by-alert-${(count += 1)}`, { alert: alertOf(fingerprint) });
const guardOf = (target: string) => env.client.workflow.getHandle(`guard/${target}`);
const stateOf = (target: string) => guardOf(target).query<GuardState>('state');

async function until(target: string, holds: (state: GuardState) => boolean): Promise<GuardState> {
  for (let tries = 0; tries < 2_400; tries += 1) {
    const state = await stateOf(target);
    if (holds(state)) return state;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never got there: ${JSON.stringify(await stateOf(target))}`);
}

/** A run that goes wrong, so that the service counts as in trouble. */
async function goWrong(kit: Kit, name: string) {
  Object.assign(kit.world.policy, { service: name });
  kit.world.acts.check = async () => ({ ok: false, detail: 'still bad' });
  expect((await kit.settled(await byAlert(kit))).outcome).toBe('ROLLED_BACK');
}

describe('a run that an alert started', () => {
  it('goes ahead by itself until the alert has recurred too often, then asks, and people are told', () =>
    withKit(env, async (kit) => {
      kit.world.policy = {
        mode: 'auto',
        service: service(),
        breaker: { ...POLICY.breaker, maxRecurrences: 2 },
      };
      const texts: string[] = [];
      kit.world.announce = async ({ text }) => {
        texts.push(text);
        return { told: ['chat'], problems: [] };
      };
      for (let turn = 0; turn < 2; turn += 1) {
        const report = await kit.settled(await byAlert(kit));
        expect(report).toMatchObject({ outcome: 'SUCCEEDED', mode: 'auto' });
      }
      const third = await byAlert(kit);
      const open = await kit.waiting(third);
      const status = await kit.until(third, () => true);
      expect(status.mode).toBe('propose');
      expect(texts.join('\n')).toMatch(/2 runs for this alert within 60 minutes/);
      expect(status.timeline.find(({ title }) => title === 'Admission')?.detail).toContain('mode propose');
      await third.executeUpdate('approve', { args: [{ plan: open.id, by: 'ben' }] });
      expect((await kit.settled(third)).outcome).toBe('SUCCEEDED');
    }));

  it('tells people that the alert has recurred too often, and rests, although the first answer of its guard was lost', () =>
    withKit(env, async (kit) => {
      const name = service();
      const breaker = { ...POLICY.breaker, maxRecurrences: 1, cooldownMs: 600_000 };
      kit.world.policy = { mode: 'auto', service: name, breaker };
      const texts: string[] = [];
      kit.world.announce = async ({ text }) => {
        texts.push(text);
        return { told: ['chat'], problems: [] };
      };
      await kit.settled(await byAlert(kit));
      kit.world.lost = 1;
      const second = await byAlert(kit);
      await kit.until(second, ({ timeline }) => timeline.some(({ title }) => title === 'Cooling down'));
      await env.sleep('11 minutes');
      await kit.waiting(second);
      expect(kit.world.lost).toBe(0);
      expect(texts.join('\n')).toMatch(/1 runs for this alert within 60 minutes/);
      const { changes } = await stateOf(name);
      expect(changes.filter(({ by }) => by === 'breaker')).toHaveLength(1);
      await second.cancel();
      await kit.finish(second);
      // Three services in trouble within an hour would stop everything, and there are others here.
      await env.sleep('61 minutes');
    }));

  it('is terminated before it has told people of the breaker: its guard tells them, once, and again until somebody hears', () =>
    withKit(env, async (kit) => {
      const name = service();
      const breaker = { ...POLICY.breaker, maxRecurrences: 1 };
      kit.world.policy = { mode: 'auto', service: name, breaker };
      await kit.settled(await byAlert(kit));
      let [begin, go] = [() => undefined as void, () => undefined as void];
      const telling = new Promise<void>((resolve) => (begin = resolve));
      const held = new Promise<void>((resolve) => (go = resolve));
      const instead: string[] = [];
      kit.world.announce = async ({ text }) => {
        if (!text.includes('ended without a word')) {
          begin();
          await held;
          return { told: [], problems: ['gone'] };
        }
        instead.push(text);
        return instead.length === 1
          ? { told: [], problems: ['no answer'] }
          : { told: ['chat'], problems: [] };
      };
      const lost = await byAlert(kit);
      await telling;
      await lost.terminate();
      for (let minutes = 0; minutes < 20 && instead.length < 2; minutes += 1) await env.sleep('1 minute');
      go();
      await until(name, ({ untold }) => untold?.length === 0);
      expect(instead).toHaveLength(2);
      expect(instead[1]).toContain(`1 runs for this alert within 60 minutes`);
      expect(instead[1]).toContain(lost.workflowId);
      await env.sleep('61 minutes');
    }));

  it('has told people of the breaker itself: its guard does not, whatever becomes of the run', () =>
    withKit(env, async (kit) => {
      const name = service();
      const breaker = { ...POLICY.breaker, maxRecurrences: 1 };
      kit.world.policy = { mode: 'auto', service: name, breaker };
      await kit.settled(await byAlert(kit));
      const texts: string[] = [];
      kit.world.announce = async ({ text }) => {
        texts.push(text);
        return { told: ['chat'], problems: [] };
      };
      const told = await byAlert(kit);
      await kit.waiting(told);
      expect((await stateOf(name)).untold).toEqual([]);
      await told.terminate();
      await env.sleep('10 minutes');
      expect(texts.join('\n')).toContain('1 runs for this alert');
      expect(texts.join('\n')).not.toContain('ended without a word');
      await env.sleep('61 minutes');
    }));

  it('lets the alert rest before it looks again', () =>
    withKit(env, async (kit) => {
      kit.world.policy = {
        mode: 'auto',
        service: service(),
        breaker: { ...POLICY.breaker, cooldownMs: 600_000 },
      };
      const first = await kit.settled(await byAlert(kit));
      const handle = await byAlert(kit);
      const { timeline } = await kit.until(handle, (status) =>
        status.timeline.some(({ title }) => title === 'Cooling down'),
      );
      expect(timeline.some(({ title }) => title === 'Look')).toBe(false);
      await env.sleep('11 minutes');
      const second = await kit.settled(handle);
      const looked = second.timeline.find(({ title }) => title === 'Look')?.startedAt ?? '';
      const waited = Date.parse(looked) - Date.parse(first.endedAt ?? '');
      expect(waited).toBeGreaterThanOrEqual(599_000);
    }));

  it('steps down after a bad outcome, and up again only by a person with a name and a reason', () =>
    withKit(env, async (kit) => {
      const name = service();
      kit.world.policy = { mode: 'auto' };
      await goWrong(kit, name);
      kit.world.acts = {};
      const state = await until(name, ({ breaker }) => breaker.ceilings['fiveMovements'] !== undefined);
      expect(state.breaker.ceilings['fiveMovements']).toMatchObject({ mode: 'propose', by: 'breaker' });
      const second = await byAlert(kit, 'other');
      await kit.waiting(second);
      await second.cancel();
      const order = { runbook: 'fiveMovements', mode: 'auto', by: 'ben', reason: 'mended' };
      const ladder = (changes: object) =>
        guardOf(name).executeUpdate('ladder', { args: [{ ...order, ...changes }] });
      await expect(ladder({ reason: '' })).rejects.toThrow();
      await expect(ladder({ by: '<your name>' })).rejects.toThrow();
      await expect(ladder({ mode: 'yolo' })).rejects.toThrow();
      expect((await stateOf(name)).breaker.ceilings).toHaveProperty('fiveMovements');
      await ladder({});
      expect((await kit.settled(await byAlert(kit, 'third'))).outcome).toBe('SUCCEEDED');
      expect((await stateOf(name)).changes.at(-1)).toMatchObject({ by: 'ben', reason: 'mended' });
    }));

  it('stops everything when several services are in trouble at once, and pages', () =>
    withKit(env, async (kit) => {
      kit.world.policy = { mode: 'auto', sickServices: 3 };
      const texts: string[] = [];
      kit.world.announce = async ({ text }) => {
        texts.push(text);
        return { told: ['chat'], problems: [] };
      };
      await guardOf('all')
        .signal('resume', { by: 'ben', reason: 'begin' })
        .catch(() => undefined);
      const before = (await stateOf('all').catch(() => undefined))?.sick ?? {};
      const missing = 3 - Object.keys(before).length;
      for (let turn = 0; turn < missing; turn += 1) await goWrong(kit, service());
      const { paused } = await until('all', (state) => state.paused !== null);
      expect(paused).toMatchObject({ by: 'breaker', reason: expect.stringContaining('3 services') });
      for (let tries = 0; tries < 2_400 && !texts.join('\n').includes('ALL automation'); tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect(texts.join('\n')).toContain('ALL automation is paused');
      kit.world.acts = {};
      kit.world.policy = { mode: 'auto', service: service() };
      const next = await byAlert(kit);
      await kit.until(next, (status) => status.summary.startsWith('paused'));
      await guardOf('all').signal('resume', { by: 'ben', reason: 'one cause, mended' });
      expect((await kit.settled(next)).outcome).toBe('SUCCEEDED');
      expect((await stateOf('all')).sick).toEqual({});
    }));

  it('hears that the alert is resolved while it waits for an approval, makes the plan again, and goes on waiting if it still has one', () =>
    withKit(env, async (kit) => {
      kit.world.policy = { mode: 'propose', service: service() };
      let looks = 0;
      kit.world.acts.look = async () => ({ value: (looks += 1) > 100 ? 0 : 1 });
      const handle = await byAlert(kit);
      await kit.waiting(handle);
      const before = looks;
      await handle.signal('alert', { status: 'resolved', count: 0, at: '2026-11-21T03:00:00Z' });
      await kit.until(
        handle,
        ({ timeline }) => timeline.filter(({ title }) => title === 'Look again').length === 2,
      );
      for (let tries = 0; looks === before && tries < 2_400; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect(looks).toBe(before + 1);
      await kit.waiting(handle);
      await handle.signal('alert', { status: 'firing', count: 7, at: '2026-11-21T03:01:00Z' });
      const { facts } = await kit.until(handle, ({ facts }) => facts['alertRepeats'] === 7);
      expect(facts['alertRepeats']).toBe(7);
      await handle.cancel();
    }));

  it('is let no further by a verdict than its configuration lets it, whoever sent that', () =>
    withKit(env, async (kit) => {
      const name = service();
      // No place, so the guard lets it wait.
      kit.world.policy = {
        mode: 'propose',
        service: name,
        breaker: { ...POLICY.breaker, maxConcurrent: 0 },
      };
      const handle = await byAlert(kit);
      await kit.until(handle, ({ summary }) => summary.startsWith('waiting for a place'));
      await handle.signal('verdict', {
        target: name,
        state: 'admitted',
        mode: 'auto',
        reason: 'says somebody',
      });
      const { waiting, mode } = await kit.until(
        handle,
        (now) => now.waiting.length > 0 || now.endedAt !== undefined,
      );
      expect({ kinds: waiting.map(({ kind }) => kind), mode }).toEqual({
        kinds: ['approval'],
        mode: 'propose',
      });
      expect(kit.world.log.filter((line) => line.startsWith('change'))).toEqual([]);
      await handle.cancel();
    }));

  it('a run started by hand asks nobody', () =>
    withKit(env, async (kit) => {
      const name = service();
      kit.world.policy = { mode: 'auto', service: name };
      const report = await kit.settled(await kit.start('fiveMovements'));
      expect(report.timeline.some(({ title }) => title === 'Admission')).toBe(false);
      await expect(stateOf(name)).rejects.toThrow();
    }));
});
