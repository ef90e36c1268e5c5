import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse, stringify } from 'yaml';
import type { z } from 'zod';
import { authSchema } from '../../src/activities/auth/settings';
import { calendarSchema } from '../../src/activities/calendar/settings';
import { aiWorkersSchema } from '../../src/activities/queues/ai/schema';
import { queuesSchema, searchSchema } from '../../src/activities/queues/settings';
import { compileRoutes, routeOf } from '../../src/alerts/routing';
import { alertsSchema } from '../../src/config/alert-schema';
import { ownCatalogue } from '../../src/packs/own';

interface Rule {
  alert: string;
  expr: string;
  labels: Record<string, string>;
  annotations: { summary: string };
}
interface Block {
  services?: Record<string, { environments: { production: Record<string, unknown> } }>;
  groups?: { rules: Rule[] }[];
  alerts?: { routes: { runbook: string }[] };
}

/** What a symptom looks like to Prometheus, minute by minute, and what it looks like without. */
const SYMPTOMS: Record<string, { series: string; bad: string; good: string; beside?: [string, string] }> = {
  CalendarOutOfSync: {
    series: 'calendar_last_sync_timestamp_seconds{service="shop"}',
    bad: '0x60',
    good: '0+60x60',
  },
  LoginsFail: {
    series: 'logins_total{service="shop",result="failed"}',
    bad: '0+6x60',
    good: '0+1x60',
    beside: ['logins_total{service="shop",result="ok"}', '0+4x60'],
  },
  QueueDelayed: {
    series: 'bullmq_oldest_waiting_seconds{service="shop",queue="bookings"}',
    bad: '31x60',
    good: '30x60',
    beside: ['bullmq_oldest_waiting_seconds{service="shop",queue="search-indexing"}', '110x60'],
  },
  SearchOutOfDate: {
    series: 'bullmq_oldest_waiting_seconds{service="shop",queue="search-indexing"}',
    bad: '121x60',
    good: '120x60',
    beside: ['bullmq_oldest_waiting_seconds{service="shop",queue="bookings"}', '0x60'],
  },
  GenerationsFail: {
    series: 'ai_generations_total{service="shop",result="failed"}',
    bad: '0+6x60',
    good: '0+1x60',
    beside: ['ai_generations_total{service="shop",result="ok"}', '0+40x60'],
  },
};

const PAGES: Record<string, { sections: Record<string, z.ZodType>; runbooks: Record<string, string> }> = {
  integrations: {
    sections: { authentication: authSchema, calendar: calendarSchema },
    runbooks: { CalendarOutOfSync: 'recoverCalendarSync', LoginsFail: 'diagnoseAuthentication' },
  },
  queues: {
    sections: { queues: queuesSchema, search: searchSchema, aiWorkers: aiWorkersSchema },
    runbooks: {
      QueueDelayed: 'drainQueueBacklog',
      SearchOutOfDate: 'recoverSearchIndexing',
      GenerationsFail: 'recoverAiWorkers',
    },
  },
};

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
if (!hasPromtool) console.warn('skipped: promtool is not here (Debian: prometheus)');
const run = promisify(execFile);

describe.each(Object.keys(PAGES))('the page %s', (name) => {
  const { sections, runbooks } = PAGES[name]!;
  const page = readFileSync(join(__dirname, `../../docs/${name}.md`), 'utf8');
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => parse(text!) as Block);
  const rules = blocks.flatMap(({ groups }) => groups ?? []).flatMap((group) => group.rules);

  test('has sections that the configuration takes', () => {
    const shown = Object.assign(
      {},
      ...blocks
        .flatMap(({ services }) => Object.values(services ?? {}))
        .map(({ environments }) => environments.production),
    ) as Record<string, unknown>;
    expect(Object.keys(shown).sort()).toEqual(Object.keys(sections).sort());
    for (const [key, schema] of Object.entries(sections))
      expect([key, schema.safeParse(shown[key]).error]).toEqual([key, undefined]);
  });

  test('routes each of its alerts to the runbook that it is about', () => {
    const alerts = alertsSchema.parse({ routes: blocks.flatMap((block) => block.alerts?.routes ?? []) });
    const routes = compileRoutes({ alerts, catalogue: ownCatalogue } as Parameters<typeof compileRoutes>[0]);
    const taken = rules.map(({ alert, labels, annotations }) => {
      const route = routeOf(routes, {
        ...{ source: 'prometheus', fingerprint: 'f', startsAt: null, status: 'firing', link: null },
        ...{ severity: labels['severity']!, title: annotations.summary, annotations: { ...annotations } },
        labels: { alertname: alert, service: 'shop', ...labels },
      });
      return [alert, route?.card.name];
    });
    expect(Object.fromEntries(taken)).toEqual(runbooks);
    for (const { card, config } of routes)
      expect(Object.keys(card.input.shape)).toEqual(expect.arrayContaining(Object.keys(config.input)));
  });

  (hasPromtool ? test : test.skip)('has alert rules that fire for their symptom alone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rules-of-a-page-'));
    try {
      writeFileSync(join(folder, 'rules.yml'), stringify({ groups: [{ name, rules }] }));
      const tests = rules.flatMap(({ alert, labels, annotations }) => {
        const { series, bad, good, beside } = SYMPTOMS[alert]!;
        const others = beside === undefined ? [] : [{ series: beside[0], values: beside[1] }];
        const testOf = (values: string, expected: object[]) => ({
          interval: '1m',
          input_series: [{ series, values }, ...others],
          alert_rule_test: [{ eval_time: '50m', alertname: alert, exp_alerts: expected }],
        });
        const fires = { exp_labels: { service: 'shop', ...labels }, exp_annotations: annotations };
        return [testOf(bad, [fires]), testOf(good, [])];
      });
      writeFileSync(join(folder, 'test.yml'), stringify({ rule_files: ['rules.yml'], tests }));
      await run('promtool', ['check', 'rules', 'rules.yml'], { cwd: folder });
      await run('promtool', ['test', 'rules', 'test.yml'], { cwd: folder });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
