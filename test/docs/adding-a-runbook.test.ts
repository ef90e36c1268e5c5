import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/config/version';
import * as activity from '../../src/doors/activity';
import * as pack from '../../src/doors/pack';
import * as testing from '../../src/doors/testing';
import * as worker from '../../src/doors/worker';
import * as workflow from '../../src/doors/workflow';

const page = readFileSync(join(PACKAGE_ROOT, 'docs', 'adding-a-runbook.md'), 'utf8');
const blocks = [...page.matchAll(/^`([^`]+)`:\n\n```\w+\n(.*?)^```$/gms)].map(
  ([, path, code]) => [path!, code!] as const,
);
const EXAMPLE = 'examples/pack';

it.each(blocks)('shows %s as it is', (path, code) => {
  expect(code).toBe(readFileSync(join(PACKAGE_ROOT, path), 'utf8'));
});

it('begins in the README as it is', () => {
  const readme = readFileSync(join(PACKAGE_ROOT, 'README.md'), 'utf8');
  const [, shown] = /^```ts\n(export const rerunJob.*?)^ +\.\.\.\n```$/ms.exec(readme)!;
  expect(readFileSync(join(PACKAGE_ROOT, EXAMPLE, 'src/rerun-job.ts'), 'utf8')).toContain(shown);
});

it('shows every file of the example, whose test runs in test/packs', () => {
  const files = readdirSync(join(PACKAGE_ROOT, EXAMPLE, 'src')).map((file) => `${EXAMPLE}/src/${file}`);
  expect(blocks.map(([path]) => path)).toEqual(expect.arrayContaining(files));
  expect(files).toHaveLength(6);
});

it('shows no code that is not a file', () => {
  expect(page.match(/^```(ts|yaml)$/gm)).toHaveLength(blocks.length);
});

it('names files and folders that are there', () => {
  const named = [...page.matchAll(/`((?:src|test|scripts|docs)\/[^`<>]*)`/g)].map(([, path]) => path!);
  const missing = named.filter(
    (path) => ![PACKAGE_ROOT, join(PACKAGE_ROOT, EXAMPLE)].some((root) => existsSync(join(root, path))),
  );
  expect(named.length).toBeGreaterThan(8);
  expect(missing).toEqual([]);
});

it('names what the doors offer', () => {
  const doors: Record<string, object> = {
    'durable-runbooks': pack,
    'durable-runbooks/workflow': workflow,
    'durable-runbooks/activity': activity,
    'durable-runbooks/worker': worker,
    'durable-runbooks/testing': testing,
  };
  const types = ['Run', 'ActivityDeps'];
  const rows = [...page.matchAll(/^\| `(durable-runbooks[^`]*)` +\| \w+ +\| (.*) \|$/gm)];
  expect(rows.map(([, entry]) => entry)).toEqual(Object.keys(doors));
  for (const [, entry, text] of rows) {
    const names = [...text!.matchAll(/`(\w+)[^`]*`/g)]
      .map(([, name]) => name!)
      .filter((name) => name !== 'runbooks');
    const unknown = names.filter((name) => !types.includes(name) && !(name in doors[entry!]!));
    expect([entry, unknown]).toEqual([entry, []]);
  }
});
