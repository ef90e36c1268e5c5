import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { startStripeAccount } from '../../examples/studio/stripe-account';
import { TROUBLES } from '../../examples/studio/trouble';
import { PACKAGE_ROOT } from '../../src/config/version';
import { runCli } from '../cli/harness';

const FOLDER = join(PACKAGE_ROOT, 'examples/studio');
const read = (name: string) => readFileSync(join(FOLDER, name), 'utf8');
const named = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name!);

test('what the README of the studio names is there, and every trouble is in it', async () => {
  const readme = read('README.md');
  const troubles = [...named(readme, /trouble ([\w-]+)/g), ...named(readme, /^\| `([\w-]+)` /gm)];
  expect(named(readme, /trouble ([\w-]+)/g).filter((name) => !(name in TROUBLES))).toEqual([]);
  expect(Object.keys(TROUBLES).filter((name) => !troubles.includes(name))).toEqual([]);
  const { stdout } = await runCli(['list']);
  expect(named(readme, /runbooks start (\w+)/g).filter((name) => !stdout.includes(name))).toEqual([]);
  const rules = read('alert-rules.yml');
  expect(named(readme, /`(Studio\w+)`/g).filter((name) => !rules.includes(`alert: ${name}`))).toEqual([]);
});

interface Configuration {
  alerts: { routes: { match: Record<string, string | { regex: string }> }[] };
}

test('each alert has its route', () => {
  const { alerts } = parse(read('runbooks.yaml')) as Configuration;
  const patterns = alerts.routes.flatMap(({ match }) => {
    const wanted = match['labels.alertname'];
    if (wanted === undefined) return [];
    return new RegExp(`^(?:${typeof wanted === 'string' ? wanted : wanted.regex})$`);
  });
  const rules = named(read('alert-rules.yml'), /alert: (\w+)/g);
  expect(rules.length).toBeGreaterThan(5);
  expect(rules.filter((name) => !patterns.some((pattern) => pattern.test(name)))).toEqual([]);
});

const testPromtool = spawnSync('promtool', ['--version']).status === 0 ? test : test.skip;

testPromtool('its rules fire when they should, with the words they should', async () => {
  await promisify(execFile)('promtool', ['test', 'rules', 'alert-rules.test.yml'], { cwd: FOLDER });
});

test('where the database is away, no Stripe is left behind', async () => {
  const ports = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap');
  const before = ports();
  const databaseUrl = 'postgresql://nobody@127.0.0.1:9/none';
  await expect(startStripeAccount({ databaseUrl, key: 'sk', secret: 'whsec' })).rejects.toThrow();
  expect(ports()).toEqual(before);
});
