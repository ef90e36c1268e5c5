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
