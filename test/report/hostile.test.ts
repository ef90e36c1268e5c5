/* eslint-disable no-control-regex -- they are what this is about */
import { Command } from 'commander';
import fc from 'fast-check';
import { logAsJson } from '../../src/alerts/log';
import { toAlert } from '../../src/alerts/normal-form';
import { outputOf } from '../../src/cli/output';
import { runText } from '../../src/cli/run-text';
import { printable, printableLine } from '../../src/contract/printable';
import type { RunStatus } from '../../src/contract/report';
import { renderHtml } from '../../src/report/page/html';
import { renderMarkdown } from '../../src/report/text/markdown';
import { renderDetails } from '../../src/workflows/kit/current-details';
import { ledIncidentReport } from './incident-sample';
import { rolledBack } from './sample';

/** What a database, a health check, an alert or a person may say to whoever reads it. */
const HOSTILE = [
  'begin \u001b[2J\u001b[8m\u001b]0;owned\u0007\u001b]8;;http://evil.example\u001b\\link\u009b31m\u001bc',
  '\r\b\u0000\u202egnp.exe\u2066\u200f\u{e0041}\ud800 <!channel> <script>alert(1)</script>',
  '![x](http://evil.example/x) [y](http://evil.example)',
  '# SUCCEEDED',
  '```',
  '===',
  '[y]: http://evil.example',
  'end',
].join('\n');

const ACTING =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\u2028\u2029\ufeff]|[\u{e0000}-\u{e007f}]|\p{Surrogate}/u;

const KEPT =
  /^(outcome|mode|kind|movement|status|severity|worst|hash|plan|runbook|runId|id|due|field|at|.*At)$/;

/** The same value with the hostile text in every text that comes from outside. */
function poisoned<T>(value: T, key = ''): T {
  if (typeof value === 'string') return (KEPT.test(key) ? value : `${value} ${HOSTILE}`) as T;
  if (Array.isArray(value)) return value.map((one) => poisoned<unknown>(one, key)) as T;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, poisoned(one, name)])) as T;
}

const waiting: RunStatus['waiting'] = [
  {
    kind: 'approval',
    id: 'abc',
    question: HOSTILE,
    expiresAt: '2026-11-21T03:12:04.000Z',
    update: { name: 'approve', argument: { plan: 'abc', by: '<your name>' } },
  },
];
const reports = {
  'a run': { ...poisoned(rolledBack()), waiting },
  'an incident': { ...poisoned(ledIncidentReport()), waiting },
};

describe.each(Object.entries(reports))('%s that is full of hostile text', (_name, report) => {
  it('is only text in Markdown: no control, no heading, no fence, no link of others', () => {
    const markdown = renderMarkdown(report);
    expect(markdown).not.toMatch(ACTING);
    expect(markdown).toContain('gnp.exe');
    // What stands in code is shown as it is.
    const prose = markdown.replace(/^```json\n.*\n```$/gm, '').replace(/`[^`\n]*`/g, '');
    const markup = /<script|<!channel|(?<!\\)(?:\\\\)*\[[xy](?:\\\\)*\]\(|^# SUCCEEDED|^===|^```|^\[y\]:/m;
    expect(markup.exec(prose)?.[0]).toBeUndefined();
  });

  it('is only text on a page', () => {
    const html = renderHtml(report);
    expect(html).not.toMatch(ACTING);
    expect(html).toContain('gnp.exe');
    expect(html).not.toMatch(/<script|<!channel|<img|href="http:\/\/evil/);
  });

  it('is only text in Current Details', () => {
    const details = renderDetails(report);
    expect(details).not.toMatch(ACTING);
    expect(details).not.toMatch(/[^\\]<script|[^\\]!\\?\[x|^# SUCCEEDED/m);
  });

  it.each([false, true])('is only text on a terminal, with colours of our own alone: %s', (colours) => {
    const written: string[] = [];
    Object.assign(process.stdout, { isTTY: colours, hasColors: () => colours });
    for (const stream of [process.stdout, process.stderr])
      jest.spyOn(stream, 'write').mockImplementation((chunk) => written.push(String(chunk)) > 0);
    try {
      const output = outputOf(new Command());
      output.line(runText(output, { status: 'RUNNING', answered: true, runId: 'r', taskQueue: 'q', report }));
      output.hint(HOSTILE);
      output.warn(HOSTILE);
    } finally {
      jest.restoreAllMocks();
      Object.assign(process.stdout, { isTTY: false });
    }
    const text = written.join('');
    expect(text).toContain('gnp.exe');
    const own = /\u001b\[(?:0|1|2|22|3[1-9]|41|49)m/g;
    expect(own.test(text)).toBe(colours);
    expect(text.replace(own, '')).not.toMatch(ACTING);
  });
});

it('JSON for scripts shows a terminal nothing that acts on it, and is the same value', () => {
  let shown = '';
  jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => (shown = String(chunk)) !== '');
  outputOf(new Command().option('--json').parse(['--json'], { from: 'user' })).document({ said: HOSTILE });
  jest.restoreAllMocks();
  expect(JSON.parse(shown)).toEqual({ said: HOSTILE });
  expect(shown.replace(/[\u{e0000}-\u{e007f}]/gu, '')).not.toMatch(ACTING);
});

it('a log line and an alert keep only what can be read', () => {
  const logged = jest.spyOn(console, 'error').mockImplementation(() => undefined);
  logAsJson('warn', HOSTILE, { why: HOSTILE });
  const line = String(logged.mock.calls[0]?.[0]);
  jest.restoreAllMocks();
  expect(line.replace(/[\u{e0000}-\u{e007f}]/gu, '')).not.toMatch(ACTING);
  const alert = toAlert({
    source: 's',
    fingerprint: HOSTILE,
    status: 'firing',
    title: HOSTILE,
    labels: { [HOSTILE]: HOSTILE },
    annotations: { a: HOSTILE },
  });
  expect(alert.title).toMatch(/^begin link/);
  const texts = [
    alert.title,
    alert.fingerprint,
    ...Object.entries(alert.labels).flat(),
    alert.annotations['a']!,
  ];
  for (const text of texts) expect(text).not.toMatch(ACTING);
});

describe('what is printable', () => {
  it('has nothing that acts, whatever it was, and is not changed again', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '\u001b',
        '\u001b[',
        '\u001b]',
        '\u009d',
        '\u0007',
        '\u001b\\',
        '\r',
        '\u202e',
        '31m',
        ';',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const text = printable(pieces.join(''));
        expect(text).not.toMatch(ACTING);
        expect(printable(text)).toBe(text);
        expect(printableLine(text)).not.toMatch(/[\n\t]/);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is what people write, in every script', () => {
    for (const text of ['Größe 日本語\tتعطل\n👩‍🚒 ok', 'a [31m] b', '100 % ~ "x"'])
      expect(printable(text)).toBe(text);
  });

  it('takes linear time for what never ends', () => {
    const text = '\u001b]'.repeat(50_000) + '\u001b['.repeat(50_000);
    const from = process.cpuUsage().user;
    expect(printable(text)).toBe('');
    expect(process.cpuUsage().user - from).toBeLessThan(5_000_000);
  });
});
