import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { TROUBLE_NAMES } from '../../examples/travel/trouble';
import { PACKAGE_ROOT } from '../../src/config/version';
import { ownCatalogue } from '../../src/packs/own';

interface Rules {
  groups: { rules: { alert: string; labels: { service: string } }[] }[];
}
interface Configuration {
  alerts: { routes: { match: Record<string, string | { regex: string }>; runbook: string }[] };
}

const folder = join(PACKAGE_ROOT, 'examples/travel');
const read = (name: string) => readFileSync(join(folder, name), 'utf8');
const readme = read('README.md');
const rules = (parse(read('alert-rules.yml')) as Rules).groups.flatMap((group) => group.rules);
const { routes } = (parse(read('runbooks.yaml')) as Configuration).alerts;

/** The first route for an alert of that name, as the intake looks for it. */
function routeOf(alert: string) {
  return routes.find(({ match }) => {
    const wanted = match['labels.alertname']!;
    return typeof wanted === 'string' ? wanted === alert : new RegExp(`^(?:${wanted.regex})$`).test(alert);
  });
}

it('has a route for each of its rules, and a rule for each of its routes', () => {
  const taken = rules.map(({ alert }) => routeOf(alert));
  expect(rules.filter((_, index) => taken[index] === undefined)).toEqual([]);
  expect(routes.filter((route) => !taken.includes(route))).toEqual([]);
  expect(rules.filter(({ labels }) => labels.service !== 'travel')).toEqual([]);
});

it('has a walk whose troubles, rules and runbooks are there, and names every trouble', () => {
  const named = [...readme.matchAll(/^trouble ([\w-]+)/gm)].map(([, name]) => name!);
  expect(named.filter((name) => !TROUBLE_NAMES.includes(name))).toEqual([]);
  const rows = [...readme.matchAll(/^\| `([\w-]+)` +\|[^|]*\| (?:`(\w+)`)? *\| (?:`(\w+)`)? *\|$/gm)];
  expect(rows.map(([, name]) => name).sort()).toEqual([...TROUBLE_NAMES].sort());
  // The route of the rule starts the runbook beside it.
  for (const [, name, rule, runbook] of rows)
    if (rule !== undefined) expect([name, routeOf(rule)?.runbook]).toEqual([name, runbook]);
  const started = [...readme.matchAll(/`([a-z]+[A-Z]\w+)`/g)].map(([, name]) => name!);
  expect(started.filter((name) => ownCatalogue.cardOf(name) === undefined)).toEqual([]);
});

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
if (!hasPromtool) process.stderr.write('skipped: promtool is not here (Debian: prometheus)\n');
(hasPromtool ? it : it.skip)('has rules that fire when they should, with the words they should', () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', 'alert-rules.test.yml'], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect([status, stdout + stderr]).toEqual([0, expect.stringContaining('SUCCESS')]);
});
