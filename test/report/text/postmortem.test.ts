import { openDuties } from '../../../src/contract/incident';
import { renderHtml } from '../../../src/report/page/html';
import { renderMarkdown } from '../../../src/report/text/markdown';
import { lessonsOf, standingOf } from '../../../src/report/text/postmortem';
import { pictureOf } from '../../../src/report/page/postmortem-picture';
import { at, incident, ledIncidentReport } from '../incident-sample';

const DAY = 24 * 60;

describe('the post-mortem of an incident', () => {
  it('has in Markdown what a post-mortem needs, in the order in which it is read', () => {
    const text = renderMarkdown(ledIncidentReport());
    const headings = text.split('\n').filter((line) => /^##? /.test(line));
    expect(headings).toEqual([
      '# P0: Checkout fails for most customers (booking)',
      '## What to do next',
      '## How long it took',
      '## Impact',
      '## Root cause',
      '## Contributing factors',
      '## What worked',
      '## What failed',
      '## Action items',
      '## Timeline',
      '## Runbook resolveHighErrorRate',
      '## Messages from outside',
      '## Run',
    ]);
    for (const row of [
      '| Time to detect | 4 min 0 s | 2026-11-21 03:06:00 UTC |',
      '| Time to acknowledge | 12 min 0 s | 2026-11-21 03:14:00 UTC |',
      '| Time to mitigate | 51 min 0 s | 2026-11-21 03:53:00 UTC |',
      '| Time to resolve | 1 h 11 min | 2026-11-21 04:13:00 UTC |',
      '- 2026-11-21 03:19:00 UTC: **P0**, ben: no booking goes through any longer',
    ])
      expect(text).toContain(row);
    expect(text).toMatch(/\| A1 \| .* \| cleo \| 2026-11-28 \| closed by cleo, .* UTC: merged \|/);
  });

  it('shows what the history itself knows, beside what people wrote down', () => {
    const { contributing, worked, failed } = lessonsOf(ledIncidentReport(), incident());
    expect(contributing).toEqual([
      expect.stringMatching(/^health ready: answered 503/),
      'recent-deployment: 1.5.0 was put in front 9 min 20 s before the symptom',
      'The smoke test does not search.',
    ]);
    expect(worked).toEqual([
      'the runbook resolveHighErrorRate ended as SUCCEEDED: 1.4.1 is in front again instead of 1.5.0',
      'the end was verified: health 2 of 2 well, error rate 0.10 %',
      'The rollback was one approval.',
    ]);
    expect(failed).toEqual([
      'nobody acknowledged within 5 min 0 s',
      'P0 unresolved for 31 min 12 s',
      'A message did not arrive: chat: answered 500',
      expect.stringMatching(/^it was called over too early: ben says/),
      'Support learned of it from customers.',
    ]);
  });

  it('says aloud that an incident was closed without proof', () => {
    const report = ledIncidentReport({
      resolved: {
        by: 'ben',
        at: at(71),
        note: 'n',
        proof: 'health 1 of 2 fail',
        override: 'the check is wrong',
      },
    });
    expect(renderMarkdown(report)).toContain(
      '**Closed without proof** (health 1 of 2 fail): the check is wrong.',
    );
    expect(renderHtml(report)).toContain('⚠ Closed without proof (health 1 of 2 fail): the check is wrong');
    expect(renderHtml(report)).not.toContain('Verified:');
  });

  it('draws the incident with its phases, the steps of its runbook below it, and without the days after it', () => {
    const report = ledIncidentReport();
    const { timeline, endedAt } = pictureOf(report, incident(), report.children);
    const titles = timeline.map(({ title }) => title);
    expect(titles.slice(0, 4)).toEqual([
      'Incident P0',
      'Until somebody was paged',
      'Until it was acknowledged',
      'Until it was mitigated',
    ]);
    expect(titles.slice(titles.indexOf('Runbook resolveHighErrorRate')).slice(1, 5)).toEqual([
      '↳ Health and error rate',
      '↳ Approval of plan 3fa9c1d20b77',
      '↳ Put 1.4.1 in front',
      '↳ It keeps serving',
    ]);
    expect(titles).not.toContain('Reminder 1');
    expect(endedAt).toBe(at(71));
    const svg = /<svg class="timeline"[\s\S]*?<\/svg>/.exec(renderHtml(report))?.[0] ?? '';
    // Nothing is cut out of it: a note stands where it happened.
    expect(svg).not.toContain('≈');
    const x = (title: string) => Number(new RegExp(`${title}[\\s\\S]*?d="M([\\d.]+) `).exec(svg)?.[1]);
    expect(x('Paged vp') / x('Acknowledged by ben')).toBeCloseTo(35.2 / 12, 1);
  });

  it('leaves automatic updates out of the picture where they are many, and nothing out of the list', () => {
    const report = ledIncidentReport();
    const due = Array.from({ length: 40 }, (_, index) => ({
      ...report.timeline[3]!,
      title: `Status update ${index + 7}: due`,
      startedAt: at(53 + index / 4),
    }));
    const long = { ...report, timeline: [...report.timeline, ...due] };
    expect(pictureOf(long, incident()).timeline.filter(({ title }) => / due$|: due/.test(title))).toEqual([]);
    expect(renderMarkdown(long)).toContain('Status update 40: due');
  });

  it('stays one self-contained page that runs nothing, whatever people write', () => {
    const evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>';
    const page = renderHtml(
      ledIncidentReport({
        title: evil,
        impact: evil,
        scope: evil,
        rootCause: evil,
        commander: evil,
        failed: [evil],
      }),
    );
    expect(page).not.toMatch(/<script|<img/);
    expect(page).not.toMatch(/https?:\/\/(?!www\.w3\.org)/);
    const markdown = renderMarkdown(ledIncidentReport({ title: evil, rootCause: evil, failed: [evil] }));
    expect(markdown).not.toMatch(/<script|<img/);
  });

  it('is an ordinary report where the run only looked', () => {
    const text = renderMarkdown({ ...ledIncidentReport({ pages: 0, updates: 0 }), outcome: 'OBSERVED' });
    expect(text).toMatch(/^# Respond to an incident: booking/);
  });
});

describe('the standing of an incident', () => {
  const report = ledIncidentReport();
  it.each([
    [report, incident({ resolved: undefined }), 'OPEN'],
    [{ ...report, outcome: 'CANCELLED' as const }, incident({ resolved: undefined }), 'ABANDONED'],
    [report, incident(), 'RESOLVED'],
    [{ ...report, outcome: 'SUCCEEDED' as const }, incident(), 'CLOSED'],
  ])('is told from its run and its record (%#)', (run, record, word) => {
    expect(standingOf(run, record).word).toBe(word);
  });
});

describe('what is left to do', () => {
  it('is nothing before the resolution, and names late things first', () => {
    expect(openDuties(incident({ resolved: undefined }), Date.parse(at(0)))).toEqual([]);
    expect(
      openDuties(incident({ rootCause: undefined, meeting: { dueAt: at(100) } }), Date.parse(at(3 * DAY))),
    ).toEqual([
      'OVERDUE: the post-mortem meeting is not scheduled; due by 2026-11-21 04:42 UTC',
      'OVERDUE: A3 Update runbooks and docs where operational steps changed (ana, due 2026-11-22)',
      'the root cause is not written down',
      'A2 Improve the monitoring so that this is noticed sooner (ben, due 2026-12-05)',
    ]);
  });

  it('counts a day as over when it has ended', () => {
    const last = openDuties(incident(), Date.parse('2026-11-22T23:59:00Z'));
    expect(last.join()).not.toContain('OVERDUE');
    expect(openDuties(incident(), Date.parse('2026-11-23T00:00:00Z')).join()).toContain('OVERDUE: A3');
  });
});
