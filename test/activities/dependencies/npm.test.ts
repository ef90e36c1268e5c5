import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createDependencyActivities } from '../../../src/activities/dependencies';
import { configSchemaWith } from '../../../src/config/settings';
import { dependenciesSettings } from '../../../src/activities/dependencies/settings';
import { startNpmRegistry, type NpmRegistry } from '../../simulators/npm-registry';
import { failureOf, runActivity } from '../../support/postgres';

let registry: NpmRegistry;
beforeAll(async () => {
  registry = await startNpmRegistry();
});
beforeEach(() => registry.reset());
afterAll(() => registry?.stop());

const database = {
  url: 'postgresql://x',
  identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
};
function start(more: Record<string, unknown> = {}) {
  const dependencies = { audit: registry.command('audit'), outdated: registry.command('outdated'), ...more };
  const config = configSchemaWith([dependenciesSettings]).parse({
    services: { shop: { environments: { production: { database } }, dependencies } },
  });
  const { directory } = registry;
  return createDependencyActivities({ config: { ...config, file: `${directory}/x.yaml`, directory } });
}
const shop = { service: 'shop' };
const audit = (more?: Record<string, unknown>) => runActivity(start(more).auditDependencies, shop);
const printing = (text: string, status = 0) => ({
  audit: { run: ['sh', '-c', `printf '%s' '${text}'; exit ${status}`] },
});

it('tells what npm finds, the worst first, with what mends it', async () => {
  expect(await audit()).toEqual({
    opens: false,
    total: 3,
    bySeverity: { critical: 1, high: 1, moderate: 1 },
    worst: [
      {
        ...{ name: 'right', severity: 'critical', direct: true, titles: ['Right runs what it is given'] },
        fix: { name: 'right', version: '2.0.0', major: true },
      },
      { name: 'stuck', severity: 'high', direct: true, titles: ['Stuck hangs'], fix: null },
      {
        ...{ name: 'left', severity: 'moderate', direct: true, titles: ['Left leaks'] },
        fix: { name: 'left', major: false },
      },
    ],
  });
});

it('finds nothing where there is nothing, and installs nothing', async () => {
  registry.advisories = {};
  expect(await audit()).toMatchObject({ total: 0, worst: [] });
  expect(readdirSync(join(registry.directory, 'node_modules'))).toEqual(['left', 'right']);
});

it('tells what is outdated, and what of it the ranges let in', async () => {
  expect(await runActivity(start().listOutdated, shop)).toEqual({
    ...{ total: 2, inRange: 1, absent: 1 },
    packages: [
      { name: 'left', current: '1.0.0', wanted: '1.0.1', latest: '1.0.1' },
      { name: 'right', current: '1.0.0', wanted: '1.0.0', latest: '2.0.0' },
    ],
  });
  expect(await runActivity(start({ outdated: undefined }).listOutdated, shop)).toBeNull();
});

it.each(['down', 'html'] as const)(
  'never takes a registry that is %s for one without advisories',
  async (mood) => {
    registry.mood = mood;
    const failure = await failureOf(audit());
    expect(failure).toMatchObject({ type: 'CommandFailed' });
    expect(failure.message).toMatch(/Nothing is known about the packages/);
    expect((await failureOf(runActivity(start().listOutdated, shop))).message).toMatch(
      /Nothing is known about the packages/,
    );
  },
);

it('says that the registry cannot be reached, and is tried again', async () => {
  const { run, ...command } = registry.command('audit');
  const away = run.map((part) => (part.startsWith('http') ? 'http://127.0.0.1:9' : part));
  const failure = await failureOf(audit({ audit: { ...command, run: away } }));
  expect(failure).toMatchObject({ type: 'CommandFailed', nonRetryable: false });
  expect(failure.message).toMatch(
    /could not be done: .*ECONNREFUSED.* not the same as none being vulnerable/,
  );
});

it.each([
  ['', 0],
  ['{}', 0],
  ['{"auditReportVersion":2}', 1],
  ['{"auditReportVersion":1,"vulnerabilities":{}}', 0],
  ['{"auditReportVersion":2,"vulnerabilities":{"a":{"severity":"bad","via":[],"fixAvailable":true}}}', 1],
  ['{"auditReportVersion":2,"vulnerabilities":{}}', 2],
])('refuses %j with status %d as a report', async (text, status) => {
  expect((await failureOf(audit(printing(text, status)))).message).toMatch(/Nothing is known/);
});

it('keeps the worst of a thousand, and counts all', async () => {
  const many = Array.from({ length: 1_000 }, (_, index) => [
    `p${index}`,
    { severity: index === 999 ? 'critical' : 'low', via: ['q'], fixAvailable: true },
  ]);
  const found = await audit(
    printing(JSON.stringify({ auditReportVersion: 2, vulnerabilities: Object.fromEntries(many) })),
  );
  expect(found).toMatchObject({ total: 1_000, bySeverity: { critical: 1, low: 999 } });
  expect(found.worst).toHaveLength(50);
  expect(found.worst[0]?.name).toBe('p999');
});
