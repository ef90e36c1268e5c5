import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { githubWorkflowRun } from '../alerts/senders/github-bodies';
import { runCli, spawnCli, temporaryFolder } from './harness';

const ROOT = resolve(__dirname, '../..');
const folder = temporaryFolder();
afterAll(() => folder.remove());

const file = (name: string, content: unknown): string => {
  const path = join(folder.path, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

const HEAD = `
temporal: { address: '127.0.0.1:1' }
services:
  booking:
    mode: propose
    environments:
      production:
        database:
          url: postgresql://nobody@127.0.0.1:1/shop
          identity: { systemIdentifier: '7300000000000000001', database: shop }
`;
const config = file(
  'runbooks.yaml',
  `${HEAD}
alerts:
  port: 0
  sources:
    prometheus: { kind: alertmanager, auth: { kind: bearer, tokens: ['\${env:ROUTE_TEST_TOKEN}'] } }
    hub: { kind: github, auth: { kind: signature, secrets: ['\${env:ROUTE_TEST_TOKEN}'] } }
  routes:
    - name: pages
      match: { severity: page, labels.team: { regex: 'plat.*' } }
      runbook: respondToIncident
      input: { service: booking }
    - name: backups
      match: { source: prometheus, labels.alertname: { regex: 'Backup.*' } }
      runbook: checkBackups
      input: { service: '{{labels.service}}', reason: '{{title}}' }
      mode: auto
    - name: rest
      match: { source: prometheus, labels.silenced: { absent: true } }
      group: [labels.alertname]
      runbook: respondToIncident
      input: { service: booking, title: '{{title}}' }
`,
);

const firing = (labels: Record<string, string>, more: object = {}) => ({
  status: 'firing',
  labels: { alertname: 'BackupTooOld', service: 'booking', severity: 'critical', ...labels },
  annotations: { summary: 'No backup for 30 h' },
  startsAt: '2026-11-21T03:00:00Z',
  fingerprint: 'f1',
  ...more,
});
const group = (...alerts: object[]) => ({ version: '4', status: 'firing', alerts });
const route = (args: string[], input?: string) =>
  input === undefined
    ? runCli(['--config', config, ...args])
    : spawnCli(['--config', config, ...args], { input });
const routeOf = (body: object, ...args: string[]) =>
  route(['route', '--alert', file('alert.json', body), '--source', 'prometheus', ...args]);

describe('runbooks route', () => {
  it('says what would start and why, and needs neither secrets nor Temporal for it', async () => {
    const { code, stdout, stderr } = await routeOf(group(firing({})));
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^No backup for 30 h {2}firing$/m);
    expect(stdout).toMatch(/severity +critical, here P0$/m);
    expect(stdout).toMatch(/✖ pages +severity: wanted "page", got "critical"$/m);
    expect(stdout).toMatch(/✔ backups +matches$/m);
    expect(stdout).toMatch(/· rest +not asked/);
    expect(stdout).toMatch(/^Would start checkBackups$/m);
    expect(stdout).toMatch(/workflow ID +checkBackups\/booking\/alert-[0-9a-f]{16}$/m);
    expect(stdout).toMatch(/mode +propose: the service's highest mode$/m);
    expect(stdout).toMatch(/reason +No backup for 30 h$/m);
    expect(stdout).toMatch(/startedBy +alert:prometheus$/m);
    expect(stdout).toMatch(/comes again +the same fingerprint and start time is the same run/);
  });

  it('says of each alert in a body which matcher did not hold and what it got', async () => {
    const silenced = firing({ alertname: 'Other', silenced: 'yes', severity: 'page' }, { fingerprint: 'f2' });
    const { code, stdout } = await routeOf(group(firing({}), silenced));
    expect(code).toBe(5);
    expect(stdout).toMatch(/^Alert 2 of 2: /m);
    expect(stdout).toMatch(/✖ pages +labels\.team: wanted \/plat\.\*\/, got nothing$/m);
    expect(stdout).toMatch(/✖ backups +labels\.alertname: wanted \/Backup\.\*\/, got "Other"$/m);
    expect(stdout).toMatch(/✖ rest +labels\.silenced: wanted absent, got "yes"$/m);
    expect(stdout).toContain('No route matches: it would be logged and counted, and start nothing.');
  });

  it('says what a run would refuse of its input', async () => {
    const { code, stdout } = await routeOf(group(firing({ service: 'nowhere' })));
    expect(code).toBe(2);
    expect(stdout).toContain('Nothing would start: checkBackups would refuse the input.');
    expect(stdout).toContain('service: got "nowhere", wanted one of: booking');
  });

  it('says that what is resolved only tells its run', async () => {
    const { code, stdout } = await routeOf(group(firing({}, { status: 'resolved' })));
    expect(code).toBe(0);
    expect(stdout).toMatch(/Nothing would start/);
    expect(stdout).not.toContain('Would start');
  });

  it('is one JSON document with --json, for scripts and tests of routes', async () => {
    const { code, stdout } = await routeOf(
      group(firing({ alertname: 'Slow', severity: 'warning' })),
      '--json',
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([
      {
        alert: { source: 'prometheus', fingerprint: 'f1', status: 'firing' },
        routes: [
          { route: 'pages', failed: { field: 'severity', wanted: '"page"', got: 'warning' } },
          { route: 'backups', failed: { field: 'labels.alertname' } },
          { route: 'rest' },
        ],
        notAsked: [],
        run: {
          runbook: 'respondToIncident',
          severity: 'P2',
          mode: 'propose',
          input: { service: 'booking', severity: 'P2', title: 'No backup for 30 h' },
          again: 'alerts with the same labels.alertname belong to this run while it is open',
          problems: [],
        },
      },
    ]);
  });

  it('takes the normal form, also from standard input, and fills in what a file by hand need not have', async () => {
    const alert = {
      source: 'prometheus',
      fingerprint: 'x',
      labels: { alertname: 'BackupOld', service: 'booking' },
    };
    const { code, stdout } = await route(['route', '--alert', '-'], JSON.stringify(alert));
    expect(code).toBe(0);
    expect(stdout).toMatch(/Would start checkBackups/);
    expect(stdout).toMatch(/since +the sender does not say/);
    expect(stdout).toMatch(/comes again +it has no start time/);
  });

  it('takes the headers of a request where the body does not say what it is', async () => {
    const body = file('run.json', githubWorkflowRun);
    const without = await route(['route', '--alert', body, '--source', 'hub']);
    expect(without.code).toBe(2);
    expect(without.stderr).toContain('X-GitHub-Event');
    const header = ['--header', 'X-GitHub-Event: workflow_run'];
    const withIt = await route(['route', '--alert', body, '--source', 'hub', ...header]);
    expect(withIt.code).toBe(5);
    expect(withIt.stdout).toMatch(/✖ backups +source: wanted "prometheus", got "hub"$/m);
    const ping = await route([
      'route',
      '--alert',
      body,
      '--source',
      'hub',
      '--header',
      'X-GitHub-Event: ping',
    ]);
    expect(ping.code).toBe(2);
    expect(ping.stderr).toContain('no alert that github would send');
    const wrong = await route(['route', '--alert', body, '--source', 'hub', '--header', 'nonsense']);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('"Name: value"');
  });

  it.each<[string, () => string[], string]>([
    ['no file', () => ['--alert', join(folder.path, 'nowhere.json')], 'cannot be read'],
    ['no JSON', () => ['--alert', file('bad.json', '{')], 'no JSON'],
    [
      'an unknown source',
      () => ['--alert', file('a.json', group(firing({}))), '--source', 'nobody'],
      'Known: prometheus, hub',
    ],
    ['another format', () => ['--alert', file('b.json', { alerts: 5 }), '--source', 'prometheus'], 'alerts'],
    ['no normal form', () => ['--alert', file('c.json', group(firing({})))], 'source:'],
    ['nothing', () => [], '--alert'],
  ])('ends with 2 and names what is wrong: %s', async (_, args, words) => {
    const { code, stdout, stderr } = await route(['route', ...args()]);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(words);
  });

  it('names every problem of the routes with its path, as every command does', async () => {
    const broken = file(
      'broken.yaml',
      `${HEAD}
alerts:
  routes:
    - { name: one, match: { labels: x }, runbook: nothing, input: {} }
    - { name: two, match: { title: { regex: '(' } }, runbook: checkBackups, input: { service: '{{label.x}}' } }
`,
    );
    const { code, stderr } = await runCli(['--config', broken, 'check']);
    expect(code).toBe(2);
    for (const path of ['one.match', 'one.runbook', 'two.match.title.regex', 'two.input.service'])
      expect(stderr).toContain(`alerts.routes.${path}`);
  });
});

describe('runbooks alerts', () => {
  const start = (args: string[], env: Record<string, string> = { ROUTE_TEST_TOKEN: 'a-token-of-a-test' }) => {
    const child = spawn(
      process.execPath,
      ['-r', join(__dirname, 'register.cjs'), join(ROOT, 'src/cli/main.ts'), ...args, 'alerts'],
      { cwd: ROOT, env: { ...process.env, ...env } },
    );
    const said = { out: '', err: '' };
    child.stdout.on('data', (chunk) => (said.out += chunk));
    child.stderr.on('data', (chunk) => (said.err += chunk));
    return { child, said };
  };
  const ended = (child: ChildProcess) => new Promise<number | null>((done) => child.on('exit', done));

  it('comes up while Temporal is down, says where it is, and ends in order when it is told to', async () => {
    const { child, said } = start(['--config', config]);
    const code = ended(child);
    try {
      for (let tries = 0; tries < 3_000 && !said.out.includes('\n'); tries += 1)
        await new Promise((done) => setTimeout(done, 20));
      expect(said.out).toMatch(
        /^alerts are taken at http:\/\/127\.0\.0\.1:\d+\/alerts\/<source>: prometheus, hub\n$/,
      );
      const url = /http:\/\/[^/]+/.exec(said.out)![0];
      expect((await fetch(`${url}/health/live`)).status).toBe(200);
      expect((await fetch(`${url}/health/ready`)).status).toBe(503);
    } finally {
      child.kill('SIGTERM');
    }
    expect(await code).toBe(0);
    expect(said.err).toBe('');
  });

  it('warns when other machines can reach it', async () => {
    const open = file(
      'open.yaml',
      `${HEAD}
alerts: { host: 0.0.0.0, port: 0, sources: { hub: { kind: github, auth: { kind: signature, secrets: [abcdefgh] } } } }
`,
    );
    const { child, said } = start(['--config', open]);
    const code = ended(child);
    for (let tries = 0; tries < 3_000 && !said.err.includes('\n'); tries += 1)
      await new Promise((done) => setTimeout(done, 20));
    child.kill('SIGINT');
    expect(said.err).toMatch(/^Warning: 0\.0\.0\.0 is reachable from other machines.*TLS/);
    expect(await code).toBe(0);
  });

  it('ends with 2 without sources, and without a secret', async () => {
    const none = await runCli(['--config', file('none.yaml', HEAD), 'alerts']);
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('alerts.sources');
    const secret = await runCli(['--config', config, 'alerts']);
    expect(secret.code).toBe(2);
    expect(secret.stderr).toContain('${env:ROUTE_TEST_TOKEN} cannot be resolved');
  });
});
