import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadProject } from '../../src/check/load-project';
import { createKey } from '../../src/cli/signing/key-file';
import { publicKeyLine } from '../../src/config/ssh-key';
import { runCli, spawnCli, temporaryFolder } from './harness';

// Nothing listens there.
const NOWHERE = { TEMPORAL_ADDRESS: '127.0.0.1:1' };

describe('the command without a Temporal server', () => {
  const folder = temporaryFolder();
  afterAll(() => folder.remove());

  it('explains itself, with every command and exit code', async () => {
    const { code, stdout } = await runCli(['--help']);
    expect(code).toBe(0);
    for (const word of [
      'init',
      'list',
      'describe',
      'start',
      'status',
      'watch',
      'approve',
      'reject',
      'decide',
      'done',
      'note',
      'cancel',
    ]) {
      expect(stdout).toMatch(new RegExp(`^  ${word}\\b`, 'm'));
    }
    for (const word of ['pause', 'resume', 'guard', 'report', 'worker', 'check', 'notify', 'up'])
      expect(stdout).toMatch(new RegExp(`^  ${word}\\b`, 'm'));
    expect(stdout).toContain('3  a run needs a person now');
  });

  it('answers --help without loading Temporal', async () => {
    const trace = `const Module = require('node:module');
      const load = Module._load;
      Module._load = function (name, ...rest) { console.error('LOADED ' + name); return load.call(this, name, ...rest); };`;
    writeFileSync(join(folder.path, 'trace.cjs'), trace);
    const { stderr } = await spawnCli(['--help'], {
      env: { NODE_OPTIONS: `-r ${join(folder.path, 'trace.cjs')}` },
    });
    expect(stderr).toContain('LOADED commander');
    expect(stderr.match(/LOADED (@temporalio|listr2|pg$|zod|preact)/gm)).toBeNull();
  });

  it.each([
    [['nonsense']],
    [['status', '--nonsense']],
    [['approve']],
    [['pause']],
    [['start']],
    [['start', 'migrateDatabase']],
    [['start', 'migrateDatabase', '--service', 'booking', '--mode', 'fast']],
    [['start', 'migrateDatabase', '--input', '{']],
    [['start', 'migratedatabase', '--service', 'booking']],
    [['start', 'migrateDatabase', '--service', 'booking', 'stray']],
    [['status', 'one', 'stray']],
    [['pause', 'stray', '--reason', 'x']],
    [['worker', '--listen', '9464']],
    [['--config', '/does/not/exist.yaml', 'check']],
    [['--config', '/does/not/exist.yaml', 'schema']],
    [['report', 'x', '--html', '--md']],
  ])('%j ends with 2 and a message', async (args) => {
    const { code, stderr, stdout } = await runCli(args, { env: NOWHERE });
    expect(stderr).not.toBe('');
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  it('a bad input is refused before Temporal is even looked for', async () => {
    const { code, stderr } = await runCli(['start', 'migrateDatabase', '--service', 'B!'], { env: NOWHERE });
    expect(code).toBe(2);
    expect(stderr).toContain('service: got "B!"');
    expect(stderr).not.toContain('cannot be reached');
  });

  it('ends with 4 when Temporal cannot be reached, and says where it looked', async () => {
    const { code, stderr } = await spawnCli(['status'], { env: NOWHERE });
    expect(code).toBe(4);
    expect(stderr).toContain('127.0.0.1:1');
    expect(stderr).toContain('runbooks up');
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('shows the stack only with DEBUG', async () => {
    const { stderr } = await runCli(['status'], { env: { ...NOWHERE, DEBUG: '1' } });
    expect(stderr).toMatch(/^\s+at /m);
  });

  it('ends with 5 for an unknown runbook and names the known ones', async () => {
    const { code, stderr } = await runCli(['describe', 'nothing']);
    expect(code).toBe(5);
    expect(stderr).toContain('migrateDatabase');
  });

  it('lists the runbooks, as text and as JSON', async () => {
    expect((await runCli(['list'])).stdout).toContain('drillRestore');
    const names = (JSON.parse((await runCli(['--json', 'list'])).stdout) as { name: string }[]).map(
      ({ name }) => name,
    );
    expect(names).toContain('migrateDatabase');
  });

  it('describes a runbook with fields, flags, an example that can be pasted, and the address', async () => {
    const { stdout } = await runCli(['describe', 'drillRestore']);
    for (const text of [
      'Symptoms',
      'Resolution',
      '--service',
      'observe | propose | auto',
      'runbooks start drillRestore --input',
    ]) {
      expect(stdout).toContain(text);
    }
    expect(stdout).toMatch(
      /\/workflows\/start-workflow\?workflowType=drillRestore&taskQueue=runbooks&workflowId=drillRestore%2F/,
    );
    const described = JSON.parse((await runCli(['describe', 'drillRestore', '--json'])).stdout) as {
      input: { properties: object };
    };
    expect(described.input.properties).toHaveProperty('service');
  });

  it('derives the flags of a runbook from its input', async () => {
    const { code, stdout } = await runCli(['start', 'migrateDatabase', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('--mode <observe|propose|auto>');
    expect(stdout).toMatch(/--service <text> .*\(required\)/);
  });

  it('takes the runbooks of the configuration that is named before `start`, whatever lies here', async () => {
    const elsewhere = temporaryFolder();
    const pack = join(elsewhere.path, 'pack');
    mkdirSync(pack);
    writeFileSync(join(pack, 'package.json'), '{ "name": "lights", "main": "index.cjs" }');
    writeFileSync(join(pack, 'workflows.js'), 'exports.switchLights = async () => "on";');
    const card = `{ name: 'switchLights', title: 'Switch', area: 'house', priority: 'P3', impact: '', changes: 'lights', example: {},
      symptoms: [], diagnosis: [], resolution: [], prevention: [], escalation: [], input: z.strictObject({ lamp: z.string() }) }`;
    const zod = JSON.stringify(require.resolve('zod'));
    writeFileSync(
      join(pack, 'index.cjs'),
      `const { z } = require(${zod}); module.exports = { name: 'lights', cards: [${card}], workflows: require.resolve('./workflows.js'), activities: () => ({}) };`,
    );
    const file = join(elsewhere.path, 'own.yaml');
    writeFileSync(file, 'packs: [./pack]\nservices: {}\n');
    writeFileSync(join(folder.path, 'runbooks.yaml'), 'not: [a configuration');
    const { code, stdout, stderr } = await runCli(['--config', file, 'start', 'switchLights', '--help'], {
      cwd: folder.path,
    });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/--lamp <text> .*\(required\)/);
    expect(code).toBe(0);
    for (const wrong of [
      ['--histories', '/does/not/exist'],
      ['--newest', 'x'],
    ])
      expect(await runCli(['--config', file, 'replay', ...wrong])).toMatchObject({ code: 2 });
    rmSync(join(folder.path, 'runbooks.yaml'));
    elsewhere.remove();
  });

  it('init writes a configuration that is valid, and never over another', async () => {
    const args = ['init', '--service', 'my-shop', '--database-url-env', 'SHOP_URL'];
    const first = await runCli(args, { cwd: folder.path, env: { SHOP_URL: '' } });
    expect(first).toMatchObject({ code: 0 });
    const file = join(folder.path, 'runbooks.yaml');
    const config = loadProject(file);
    expect(config.services['my-shop']?.environments['production']?.database.url).toBe('${env:SHOP_URL}');
    expect(config.services['my-shop']?.mode).toBe('observe');
    writeFileSync(file, 'mine');
    const second = await runCli(args, { cwd: folder.path });
    expect(second.code).toBe(2);
    expect(second.stderr).toContain('already there');
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });

  it('what init leaves commented out is valid too when the comment signs go', async () => {
    const target = join(folder.path, 'full.yaml');
    await runCli(['--config', target, 'init', '--service', 'shop'], { env: { DATABASE_URL: '' } });
    const full = readFileSync(target, 'utf8')
      .replace(/^# yaml-language-server.*$/m, '')
      // Prose begins with a capital letter, what is optional with a small one.
      .replace(/^( *)# (?=[a-z -])/gm, '$1');
    writeFileSync(target, full);
    const { services, temporal } = loadProject(target);
    expect(temporal.uiUrl).toBe('https://temporal.internal');
    const shop = services['shop']!;
    expect(Object.keys(shop.environments)).toEqual(['production', 'staging']);
    expect(shop.environments['production']?.application?.health).toHaveLength(1);
    expect(shop.invariants).toHaveLength(1);
    expect(shop.notify).toHaveLength(1);
    expect(shop.escalation[0]?.notify).toEqual(['oncall']);
    expect(shop.backups?.offsite).toMatchObject({ bucket: 'my-backups', prune: true });
    expect(shop.approval.approvers).toEqual(['ana', 'sam']);
  });

  it.each([
    [['init', '--service', 'My Shop'], '--service: got "My Shop"'],
    [['init', '--database-url-env', 'postgresql://u:secretsecret@h/d'], 'not its value'],
  ])('%j is refused and nothing is written', async (args, words) => {
    const { code, stderr } = await runCli(['--config', join(folder.path, 'never.yaml'), ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(words);
    expect(stderr).not.toContain('secretsecret');
    expect(() => readFileSync(join(folder.path, 'never.yaml'))).toThrow();
  });

  it('check names every problem of a configuration with its path', async () => {
    const file = join(folder.path, 'bad.yaml');
    writeFileSync(file, 'services:\n  booking:\n    environments: { staging: {} }\n    mode: sometimes\n');
    const { code, stderr } = await runCli(['--config', file, 'check']);
    expect(code).toBe(2);
    expect(stderr).toContain('services.booking.mode');
    expect(stderr).toContain('services.booking.environments');
  });

  it('check goes on after a failure and never shows a password', async () => {
    const file = join(folder.path, 'check.yaml');
    const database =
      "{ url: '${env:SHOP_URL}', identity: { systemIdentifier: '0000000000', database: shop } }";
    const key = `{ key: '${publicKeyLine(createKey('ana').raw, 'ana')}', expires: 2020-01-01 }`;
    const approval = `{ fourEyes: true, approvers: [ana, ben], proof: signature, keys: { ana: [${key}], ben: ['${publicKeyLine(createKey('ben').raw, 'ben')}'] } }`;
    writeFileSync(
      file,
      `services: { shop: { approval: ${approval}, environments: { production: { database: ${database} } } } }`,
    );
    const env = { ...NOWHERE, SHOP_URL: 'postgresql://u:secretsecret@127.0.0.1:1/shop' };
    const { code, stdout } = await runCli(['--config', file, '--json', 'check'], { env });
    expect(code).toBe(2);
    const { checks } = JSON.parse(stdout) as { checks: { what: string; state: string }[] };
    expect(checks.find(({ what }) => what === 'temporal')?.state).toBe('failed');
    expect(checks.find(({ what }) => what === 'shop/production database')?.state).toBe('failed');
    expect(checks.find(({ what }) => what === 'shop people')).toMatchObject({
      state: 'warning',
      detail: expect.stringContaining('nobody is told'),
    });
    expect(checks.find(({ what }) => what === 'shop approvals')).toMatchObject({
      state: 'warning',
      detail: 'the keys of ana have expired; with fourEyes nobody can approve what ben starts',
    });
    expect(stdout).not.toContain('secretsecret');
  });

  it('worker ends with 4 and a sentence where no server answers', async () => {
    const { configTemplate } = await import('../../src/cli/config-template.js');
    const file = join(folder.path, 'alone.yaml');
    const known = { service: 'shop', databaseUrlEnv: 'URL', systemIdentifier: '0000000000' };
    writeFileSync(file, configTemplate({ ...known, database: 'shop', identified: false }));
    const { code, stderr } = await spawnCli(['--config', file, 'worker'], { env: NOWHERE });
    expect([code, stderr.trim().split('\n')]).toEqual([
      4,
      [expect.stringMatching(/cannot be reached at 127\.0\.0\.1:1: .*TEMPORAL_ADDRESS/)],
    ]);
  });
});
