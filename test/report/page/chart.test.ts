import { layOut } from '../../../src/report/page/chart';
import { rolledBack } from '../sample';

const NOW = Date.parse('2026-11-21T04:00:00.000Z');

describe('the geometry of the timeline', () => {
  it('keeps every bar inside, in order of time, and wide enough to be seen', () => {
    const { bars } = layOut(rolledBack(), 700, NOW);
    for (const { x, width, entry } of bars) {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + width).toBeLessThanOrEqual(700.001);
      if (entry.status !== 'note') expect(width).toBeGreaterThanOrEqual(4);
    }
    const starts = bars.map(({ x }) => x);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
  });

  it('shortens a long wait so that the work beside it stays visible, and says how long it was', () => {
    const { bars, cuts } = layOut(rolledBack(), 700, NOW);
    expect(cuts).toHaveLength(1);
    expect(cuts[0]?.label).toBe('30 min 4 s');
    const approval = bars.find(({ entry }) => entry.title.startsWith('Approval'));
    expect(approval?.took).toBe('30 min 4 s');
    // Drawn to scale it would have nine tenths of the picture.
    expect(approval?.width).toBeLessThan(0.3 * 700);
  });

  it('does not shorten what worked for long', () => {
    const report = rolledBack();
    for (const entry of report.timeline) if (entry.movement === 'gate') entry.detail = 'computed the plan';
    expect(layOut(report, 700, NOW).cuts).toHaveLength(0);
  });

  it('draws a run that has not ended up to now', () => {
    const { endedAt: _endedAt, ...report } = rolledBack();
    report.timeline = [{ title: 'Back up', movement: 'act', status: 'running', startedAt: report.startedAt }];
    const { bars } = layOut(report, 700, Date.parse(report.startedAt) + 60_000);
    expect(bars[0]).toMatchObject({ x: 0, width: 700, took: '1 min 0 s' });
  });

  it('survives an empty timeline and one of notes only', () => {
    const report = { ...rolledBack(), timeline: [] };
    expect(layOut(report, 700, NOW).bars).toEqual([]);
    const note = {
      title: 'Reason',
      movement: 'diagnose' as const,
      status: 'note' as const,
      startedAt: report.startedAt,
    };
    const { bars } = layOut({ ...report, endedAt: report.startedAt, timeline: [note] }, 700, NOW);
    expect(bars[0]?.x).toBeGreaterThanOrEqual(0);
  });

  it('labels ticks with UTC clock times that do not overlap', () => {
    const { ticks } = layOut(rolledBack(), 700, NOW);
    expect(ticks[0]?.label).toBe('03:12:04');
    expect(ticks.at(-1)?.label).toBe('03:45:10');
    const xs = ticks.map(({ x }) => x).sort((a, b) => a - b);
    for (const [index, x] of xs.slice(1).entries()) expect(x - (xs[index] as number)).toBeGreaterThan(60);
  });
});
