import { renderMarkdown } from '../../../src/report/text/markdown';
import { rolledBack } from '../sample';

describe('a report as Markdown', () => {
  it('tells outcome, summary, absolute UTC times, durations, plan, approval and facts', () => {
    const text = renderMarkdown(rolledBack());
    expect(text).toContain('# Migrate a database: booking');
    expect(text).toContain('**ROLLED_BACK**: it failed or was cancelled, and what it had done was undone.');
    expect(text).toContain(
      'Started 2026-11-21 03:12:04 UTC by dana, ended 2026-11-21 03:45:10 UTC, took 33 min 6 s',
    );
    expect(text).toContain('Hash `3fa9c1d20b77`.');
    expect(text).toContain(
      '| 2026-11-21 03:42:46 | sam | signed by key SHA256:abc, identity 4711@desk | 3fa9c1d20b77 | after the evening peak |',
    );
    expect(text).toContain('| update approve | sam (identity 4711@desk) |');
    expect(text).toContain('| Restore | 15.5 s |');
    expect(text).toMatch(/\| 2026-11-21 03:42:57 \| verify \| Invariants hold \| ✖ FAILED \| 3\.0 s \|/);
  });

  it('says how often a step was tried and what the failed attempt said', () => {
    expect(renderMarkdown(rolledBack())).toContain(
      '2 attempts, last failure: DatabaseUnreachable: Could not back up',
    );
  });

  it('keeps one row per step whatever the text in it', () => {
    const report = rolledBack();
    report.timeline = [{ ...report.timeline[0]!, title: 'a | b', detail: 'first\nsecond \\| third' }];
    const row = renderMarkdown(report)
      .split('\n')
      .find((line) => line.includes('a \\| b'));
    expect(row).toContain('first second \\\\\\| third');
    expect(row?.match(/(?<!\\)(?:\\\\)*\|/g)).toHaveLength(7);
  });

  it('lets no text from outside become markup', () => {
    const report = { ...rolledBack(), summary: '<img src=x onerror=alert(1)> [click](javascript:alert(1))' };
    const text = renderMarkdown(report);
    expect(text).not.toContain('<img');
    expect(text).not.toContain('[click](');
    expect(text).toContain('&lt;img');
  });

  it('shows what a running run waits for, with the JSON to send', () => {
    const { outcome: _outcome, endedAt: _endedAt, ...running } = rolledBack();
    const text = renderMarkdown({
      ...running,
      waiting: [
        {
          kind: 'approval',
          id: '3fa9c1d20b77',
          question: 'Approve it?',
          expiresAt: '2026-11-21T07:00:00.000Z',
          update: { name: 'approve', argument: { plan: '3fa9c1d20b77', by: '<your name>' } },
        },
      ],
    });
    expect(text).toContain('**RUNNING**: it has not ended.');
    expect(text).toContain('{"plan":"3fa9c1d20b77","by":"<your name>"}');
    expect(text).toContain('Until 2026-11-21 07:00:00 UTC');
  });

  it('says what was changed and stays, and what perhaps was', () => {
    const at = '2026-11-21T03:42:57.000Z';
    const step = 'End sessions';
    const text = renderMarkdown({
      ...rolledBack(),
      outcome: 'PARTIAL',
      changes: [
        { at, step, kind: 'irreversible', what: 'sessions were ended', done: true },
        { at, step: 'Restart', kind: 'irreversible', what: 'the application was restarted', done: false },
      ],
    });
    expect(text).toContain('**PARTIAL**: it did not reach its end, and part of what it changed stays.');
    expect(text).toContain('## Changed and not undone');
    expect(text).toContain('| 2026-11-21 03:42:57 | sessions were ended | irreversible | End sessions |');
    expect(text).toContain('| perhaps: the application was restarted |');
    expect(text).not.toMatch(/as before|Nothing was changed/);
  });

  it('promises nothing about a run that left no report', () => {
    const report = { ...rolledBack(), outcome: 'FAILED' as const };
    expect(renderMarkdown(report)).toContain('it failed before anything was changed');
    const untold = { ...report, history: { ...report.history, toldByRun: false } };
    expect(renderMarkdown(untold)).toContain('whether it had changed anything is not known');
    expect(renderMarkdown(untold)).not.toContain('Nothing was changed');
  });
});
