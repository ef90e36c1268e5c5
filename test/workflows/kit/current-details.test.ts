import type { RunStatus, TimelineEntry } from '../../../src/contract/report';
import { renderDetails } from '../../../src/workflows/kit/current-details';

const STARTED = '2026-11-21T05:40:40.860Z';

const entry = (part: Partial<TimelineEntry> = {}): TimelineEntry => ({
  title: 'Back up booking/production',
  movement: 'act',
  status: 'done',
  startedAt: STARTED,
  endedAt: '2026-11-21T05:40:43.160Z',
  ...part,
});

const status = (part: Partial<RunStatus> = {}): RunStatus => ({
  runbook: 'migrateDatabase',
  title: 'Migrate a database',
  workflowId: 'migrateDatabase/booking/1',
  runId: 'run',
  service: 'booking',
  mode: 'propose',
  startedBy: 'ana',
  startedAt: STARTED,
  summary: 'running',
  approvals: [],
  timeline: [entry()],
  facts: {},
  waiting: [],
  ...part,
});

const waiting: RunStatus['waiting'] = [
  {
    kind: 'approval',
    id: '4c398c3f06d7',
    question: 'Approve plan 4c398c3f06d7: apply a.sql on booking/production?',
    expiresAt: '2026-11-21T09:40:53.000Z',
    update: { name: 'approve', argument: { plan: '4c398c3f06d7', by: '<your name>' } },
  },
];

const plan = (actions: number) => ({
  hash: '4c398c3f06d7',
  actions: Array.from({ length: actions }, (_, index) => ({
    action: `apply ${index}.sql`,
    target: 'booking/production',
    detail: 'SHA-256 39d8a1d25fda; way back: down script',
  })),
  warnings: ['a.sql:5 several-locks: `-- runbooks: split` commits each by itself'],
});

describe('renderDetails', () => {
  it('says first what the run waits for, how to answer, what to paste and until when', () => {
    const text = renderDetails(status({ waiting, plan: plan(1) }));
    expect(text.indexOf('## Waiting for an approval')).toBeLessThan(text.indexOf('## Plan `4c398c3f06d7`'));
    expect(text.indexOf('## Plan')).toBeLessThan(text.indexOf('## Timeline'));
    expect(text).toContain('name **approve**');
    expect(text).toContain('```json\n{"plan":"4c398c3f06d7","by":"<your name>"}\n```');
    expect(text).toContain('Until **2026-11-21 09:40:53 UTC**');
    expect(text).toContain('1. **apply 0.sql** on **booking/production**: SHA-256 39d8a1d25fda');
    expect(text).toContain('- ⚠ a.sql:5 several-locks: `-- runbooks: split` commits each by itself');
  });

  it('says where a signature is needed, and gives the command; what stops is taken here', () => {
    const approval = renderDetails(status({ waiting: [{ ...waiting[0]!, mustBeSigned: true }] }));
    expect(approval).toContain('**A signature is needed.** To answer, on a machine that has your key:');
    expect(approval).toContain('- `runbooks approve migrateDatabase/booking/1 --plan 4c398c3f06d7`');
    expect(approval).toContain('named **reject**, with your own name:\n\n```json');
    expect(approval).not.toContain('name **approve**');
    const question: RunStatus['waiting'][number] = {
      kind: 'decision',
      id: 'q1',
      question: 'Restore?',
      choices: ['restore', 'stop'],
      harmless: ['stop'],
      mustBeSigned: true,
      expiresAt: STARTED,
      update: { name: 'decide', argument: { question: 'q1', choice: 'restore', by: '<your name>' } },
    };
    const decision = renderDetails(status({ waiting: [question] }));
    expect(decision).toContain('Anybody may choose `stop`; the others let something happen.');
    expect(decision).toContain(
      '- `runbooks decide migrateDatabase/booking/1 --question q1 --choice restore`\n\nFor `stop`, **Send an Update** named **decide**:',
    );
    expect(decision).toContain('{"question":"q1","choice":"stop","by":"<your name>"}');
    expect(decision).not.toContain('"choice":"restore"');
  });

  it('says what the run does now, and since when', () => {
    const running = entry({ title: 'Restore it', status: 'running', endedAt: undefined });
    const text = renderDetails(status({ timeline: [entry(), running] }));
    expect(text).toContain('**Now**: Restore it, since 05:40:40');
    expect(renderDetails(status({ summary: 'paused by eva at noon', timeline: [running] }))).toContain(
      '**Now**: paused by eva at noon',
    );
  });

  it('gives each line of the timeline its time, with the day once it is another one', () => {
    const text = renderDetails(
      status({
        timeline: [
          entry({ detail: '1.0 MB' }),
          entry({ title: 'Health', status: 'failed', movement: 'verify', detail: '3 of 5 answers' }),
          entry({
            title: 'Go back',
            movement: 'undo',
            startedAt: '2026-11-23T01:00:00.000Z',
            endedAt: undefined,
          }),
        ],
      }),
    );
    expect(text).toContain('- `05:40:40` ✔ Back up booking/production (2.3 s): 1.0 MB');
    expect(text).toContain('- `05:40:40` ✖ **failed: Health** (2.3 s): 3 of 5 answers');
    expect(text).toContain('- `2026-11-23 01:00:00` ✔ ↩ undo: Go back');
  });

  it('begins with the outcome once there is one', () => {
    const text = renderDetails(status({ outcome: 'ROLLED_BACK', summary: 'Health of booking: ill' }));
    expect(text).toContain('\n\n**ROLLED_BACK**: Health of booking: ill\n');
  });

  it('lets no text from outside become markup', () => {
    const hostile =
      '`a``<b>` </code><script>x</script> [click](http://e) **b** _i_ $f$ ~~d~~ 1/2 a--b\n# h\n```\n| c |';
    const text = renderDetails(
      status({ summary: hostile, startedBy: hostile, timeline: [entry({ detail: hostile })] }),
    );
    expect(text).not.toMatch(/[^\\]<|[^\\]\[click|[^\\]\*\*b|[^\\]_i|[^\\]\$f|[^\\]~~|1\/2|a--b/);
    expect(text.match(/^#+ .*/gm)).toEqual(['# Migrate a database: booking', '## Timeline']);
    expect(text).not.toMatch(/^```/m);
  });

  it('stays within an address that proxies take, and keeps the newest lines', () => {
    const timeline = Array.from({ length: 400 }, (_, index) =>
      entry({ title: `Step ${index}`, detail: 'ä'.repeat(1_000) }),
    );
    const text = renderDetails(status({ timeline, waiting, plan: plan(3) }));
    expect(encodeURIComponent(text).length).toBeLessThan(8_000);
    expect(text).toContain('Step 399');
    expect(text).toMatch(/## Timeline \(3\d\d earlier lines: runbooks report\)/);
  });

  it('cuts neither the plan nor the question, however long', () => {
    const text = renderDetails(status({ waiting, plan: plan(200) }));
    expect(text).toContain('200. **apply 199.sql** on **booking/production**');
    expect(text).toContain('- `05:40:40` ✔ Back up booking/production');
  });

  it('leaves no half of a character, which the UI could not show', () => {
    for (const length of [1, 2, 3]) {
      const detail = '🙂'.repeat(100).slice(0, 100 + length);
      const text = renderDetails(status({ timeline: [entry({ detail: `${'x'.repeat(length)}${detail}` })] }));
      expect(() => encodeURIComponent(text)).not.toThrow();
    }
  });
});
