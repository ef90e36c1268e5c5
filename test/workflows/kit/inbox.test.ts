import { renderDetails } from '../../../src/workflows/kit/current-details';
import { useEnvironment, withKit } from './harness';

const env = useEnvironment();

it("a runbook's own messages are offered, taken, refused with a reason, and shown", () =>
  withKit(env, async ({ start, until, finish }) => {
    const handle = await start('telling');
    await until(handle, ({ timeline }) => timeline.some(({ title }) => title === 'Look'));
    const tell = (words: unknown) =>
      handle
        .executeUpdate<string, [unknown]>('tell', { args: [words] })
        .catch((error: Error) => `REFUSED ${(error.cause as Error).message}`);
    expect(await tell({ text: 'lies', by: 'ana' })).toBe('REFUSED it does not listen to lies');
    expect(await tell({ by: 'ana' })).toMatch(/REFUSED "text" is missing; expected text, by/);
    expect(await tell({ text: 'x', by: 'ana', loud: 'yes' })).toMatch(/REFUSED there is no "loud"/);
    expect(await tell({ text: 'the truth', by: 'ana' })).toBe('heard: the truth');
    const status = await until(handle, () => true);
    expect(status.offers).toEqual([
      { name: 'tell', what: 'Tell it something', argument: { text: '<what>', by: '<your name>' } },
    ]);
    expect(renderDetails(status)).toContain('## Told\n\nthe truth');
    await handle.signal('whisper', { text: 'nobody says this', loud: 'yes', by: 'ana' });
    await handle.signal('whisper', { text: 'more', by: 'ana' });
    const { report } = await finish(handle);
    expect(report).toMatchObject({ summary: 'told the truth and more', told: ['the truth', 'more'] });
    expect(report?.timeline.map(({ title }) => title)).toEqual(
      expect.arrayContaining(['Told by ana', 'Refused: whisper']),
    );
  }));

it('a signal of another shape neither ends a run, before its way back, nor is heard', () =>
  withKit(env, async ({ world, start, waiting, finish }) => {
    const handle = await start('fiveMovements');
    const { id } = await waiting(handle);
    const { runId } = await handle.describe();
    const target = { target: 'booking', reason: '', holder: '' };
    const bad: [string, unknown][] = [
      ['lease', { ...target, state: 'granted' }],
      ['verdict', { ...target, state: 'admitted', mode: 'yolo' }],
      ['alert', { status: 'resolved', count: 1 }],
      ['childRests', { workflowId: 'somebody', runId: 'x', rests: false }],
    ];
    for (const signal of ['lease', 'verdict', 'alert', 'childRests', 'triggered', 'wake', 'goOn', 'whatever'])
      for (const argument of [undefined, null, 'text', 7, {}, []]) bad.push([signal, argument]);
    for (const [signal, argument] of bad) await handle.signal(signal, argument);
    await handle.executeUpdate('approve', { args: [{ plan: id, by: 'ben' }] });
    const { report } = await finish(handle);
    expect(report).toMatchObject({ outcome: 'SUCCEEDED', runId, facts: {} });
    expect(world.log.filter((line) => line.startsWith('change'))).toEqual(['change a', 'change b']);
  }));
