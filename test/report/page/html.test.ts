import { STYLE } from '../../../src/report/page/html-style';
import { createHash } from 'node:crypto';
import { renderHtml } from '../../../src/report/page/html';
import { rolledBack } from '../sample';

const NOW = new Date('2026-11-21T04:00:00.000Z');

describe('a report as a page', () => {
  it('is one file that asks for nothing: no script, no address, a policy that forbids both', () => {
    const page = renderHtml(rolledBack(), undefined, NOW);
    expect(page).not.toMatch(/<script|<link|<img|<iframe|@import|url\(http/);
    expect(page.match(/https?:\/\/[^"'\s<]+/g)).toEqual(['http://www.w3.org/2000/svg']);
    const style = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    expect(page).toContain(`default-src 'none'; style-src 'sha256-${hash}'`);
    // Style attributes would be refused by that policy.
    expect(page).not.toMatch(/ style="/);
  });

  it('escapes whatever comes from outside, wherever it is shown', () => {
    const evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>';
    const report = rolledBack();
    const page = renderHtml({
      ...report,
      title: evil,
      summary: evil,
      startedBy: evil,
      service: evil,
      plan: { hash: evil, actions: [{ action: evil, target: evil, detail: evil }], warnings: [evil] },
      approvals: [{ plan: evil, by: evil, at: report.startedAt, note: evil }],
      facts: { [evil]: evil },
      changes: [{ at: report.startedAt, step: evil, kind: 'irreversible', what: evil, done: false }],
      timeline: report.timeline.map((entry) => ({ ...entry, title: evil, detail: evil })),
      history: {
        ...report.history,
        messages: [{ kind: 'update', name: evil, at: report.startedAt, by: evil, argument: evil }],
      },
    });
    expect(page).not.toContain('<script');
    expect(page).not.toContain('<img');
    expect(page).toContain('&lt;script');
    expect(page).toContain('perhaps: ');
  });

  it('draws a bar for each step, hatches the wait, marks the failure and shows the undo', () => {
    const report = rolledBack();
    const page = renderHtml(report);
    const svg = /<svg class="timeline"[\s\S]*?<\/svg>/.exec(page)?.[0] ?? '';
    const steps = report.timeline.filter(({ status }) => status !== 'note');
    expect(svg.match(/<rect class="bar /g)).toHaveLength(steps.length);
    expect(svg.match(/<path class="note /g)).toHaveLength(2);
    expect(svg.match(/<rect class="bar bar-wait[^>]*fill="url\(#hatch\)"/g)).toHaveLength(1);
    expect(svg.match(/bar-failed/g)).toHaveLength(1);
    expect(svg).toContain('✖ 3.0 s');
    expect(svg.match(/row-undo/g)).toHaveLength(3);
    expect(svg).toContain('↩ undo');
    expect(svg).toContain('13.8 s, 2 attempts');
  });

  it('begins with the outcome, what it means and what to do next', () => {
    const page = renderHtml(rolledBack());
    const order = [
      'ROLLED_BACK</span>',
      'it failed or was cancelled, and what it had done was undone',
      'What to do next',
      'Timeline</h2>',
    ].map((text) => page.indexOf(text));
    expect(order.every((at) => at > 0)).toBe(true);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  it('is coloured by the outcome', () => {
    expect(renderHtml({ ...rolledBack(), outcome: 'NEEDS_HUMAN' })).toContain('class="tone-alarm"');
    expect(renderHtml({ ...rolledBack(), outcome: 'SUCCEEDED' })).toContain('class="tone-good"');
  });
});

describe('the colours', () => {
  const luminance = (colour: string): number => {
    const hex = colour.length === 4 ? colour.replace(/[0-9a-f]/g, '$&$&') : colour;
    const [red = 0, green = 0, blue = 0] = [1, 3, 5]
      .map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one: string, other: string): number => {
    const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const schemes = [...STYLE.matchAll(/:root\{[^}]*--bg:[^}]*\}/g)].map(
    ([block]) =>
      Object.fromEntries(
        [...block.matchAll(/--(\w+):(#[0-9a-f]+)/g)].map(([, name, value]) => [name, value]),
      ) as Record<string, string>,
  );

  // WCAG 2.2, 1.4.3
  it('can be read in both schemes, also on the ground of what failed or was undone', () => {
    const texts = ['ink', 'soft', 'diagnose', 'plan', 'gate', 'act', 'verify', 'undo', 'bad'];
    const pairs = [
      ...texts.flatMap((text) => ['card', 'odd', 'bg', 'badbg', 'undobg'].map((ground) => [text, ground])),
      ...['good', 'calm', 'bad', 'open', 'warn', 'alarm'].map((text) => [text, `${text}bg`]),
      ['card', 'soft'],
      ['card', 'undo'],
    ] as [string, string][];
    expect(schemes).toHaveLength(2);
    for (const scheme of schemes)
      for (const [text, ground] of pairs)
        expect([text, ground, contrast(scheme[text]!, scheme[ground]!) >= 4.5]).toEqual([text, ground, true]);
  });

  it('are the light ones on paper', () => {
    expect(STYLE).toMatch(/@media screen and \(prefers-color-scheme:dark\)/);
  });
});
