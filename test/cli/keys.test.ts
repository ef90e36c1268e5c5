import { execFileSync, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { Client, Connection } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { NativeConnection } from '@temporalio/worker';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import { parsePublicKey } from '../../src/config/ssh-key';
import type { SignerKey } from '../../src/contract/answer';
import { reportFromHistory } from '../../src/report/history/read-history';
import { renderMarkdown } from '../../src/report/text/markdown';
import { quietTemporal } from '../support/quiet';
import { addToAgent, startAgent } from '../support/ssh-agent';
import { stopKit, withKit, type Kit } from '../workflows/kit/harness';
import { runCli, temporaryFolder, type CliResult } from './harness';

quietTemporal();
const folder = temporaryFolder();
const home = folder.path;
const agentSocket = join(home, 'agent');
let temporal: LocalTemporal;
let env: TestWorkflowEnvironment;
let close: () => Promise<void>;
let agent: ChildProcess;

const cli = (args: string[], more: Record<string, string> = {}): Promise<CliResult> =>
  runCli(args, {
    cwd: home,
    env: { TEMPORAL_ADDRESS: temporal.address, HOME: home, XDG_CONFIG_HOME: '', ...more },
  });

const keygen = (file: string, passphrase = ''): string => {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-C', 'from ssh-keygen', '-f', file]);
  return readFileSync(`${file}.pub`, 'utf8');
};

/** As the configuration would give it to a run. */
function signer(name: string, line: string): SignerKey {
  const { raw, fingerprint } = parsePublicKey(line);
  return { name, fingerprint, publicKey: raw.toString('hex') };
}

beforeAll(async () => {
  mkdirSync(join(home, '.ssh'), { mode: 0o700 });
  temporal = await startTemporal({ directory: join(home, 'temporal') });
  const nativeConnection = await NativeConnection.connect({ address: temporal.address });
  const connection = await Connection.connect({ address: temporal.address });
  env = { nativeConnection, client: new Client({ connection }) } as unknown as TestWorkflowEnvironment;
  close = async () => {
    await connection.close();
    await nativeConnection.close();
  };
  agent = await startAgent(agentSocket);
});

afterAll(async () => {
  agent?.kill();
  await stopKit();
  await close?.();
  await temporal?.stop();
  folder.remove();
});

const signed = (...signers: SignerKey[]) => ({ proof: 'signature' as const, signers });

/** What the gate's runbook waits for. */
async function gate({ start, waiting }: Kit): Promise<{ handle: WorkflowHandle; id: string; plan: string }> {
  const handle = await start('fiveMovements', `gate-${Math.random()}`);
  return { handle, id: handle.workflowId, plan: (await waiting(handle)).id };
}

describe('keys', () => {
  it('create makes a file that only its owner reads, which ssh-keygen takes, and overwrites none', async () => {
    const made = await cli(['keys', 'create', '--by', 'ada']);
    expect(made.code).toBe(0);
    const file = join(home, '.config/durable-runbooks/keys/ada');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const line = /^ {4}- (ssh-ed25519 .*)$/m.exec(made.stdout)![1]!;
    expect(execFileSync('ssh-keygen', ['-y', '-f', file]).toString().trim()).toBe(line);
    expect(made.stdout).toMatch(/^keys:\n {2}ada:\n {4}- /);
    const before = readFileSync(file, 'utf8');
    const again = await cli(['keys', 'create', '--by', 'ada']);
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('is there already, and is kept')]);
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('list names those of files and of the agent, whose they are, and what could not be read', async () => {
    const line = keygen(join(home, 'listed')).trim();
    addToAgent(agentSocket, join(home, 'listed'));
    writeFileSync(join(home, '.ssh/id_ed25519'), 'no key');
    writeFileSync(join(home, 'runbooks.yaml'), configured(line));
    const { stdout, code } = await cli(['--json', 'keys', 'list'], { SSH_AUTH_SOCK: agentSocket });
    expect(code).toBe(0);
    const { keys, problems } = JSON.parse(stdout) as { keys: unknown[]; problems: string[] };
    expect(keys).toContainEqual({
      fingerprint: parsePublicKey(line).fingerprint,
      where: 'ssh-agent',
      comment: 'from ssh-keygen',
      configured: ['ben of shop (expired on 2026-01-31)'],
    });
    expect(keys).toContainEqual(
      expect.objectContaining({ comment: expect.stringMatching(/^ada@/) as string, configured: [] }),
    );
    expect(problems).toEqual([
      `${join(home, '.ssh/id_ed25519')}: it is no private key in the format of OpenSSH`,
    ]);
  });
});

const configured = (line: string) => `
services:
  shop:
    environments:
      production:
        database: { url: 'postgresql://x', identity: { systemIdentifier: '7300000000000000001', database: shop } }
    approval:
      proof: signature
      keys:
        ben: [{ key: ${line}, expires: 2026-01-31 }]
`;

describe('a run that takes signed answers only', () => {
  it('is approved by the command with a key of its own making, and its report says so', () =>
    withKit(env, async (kit) => {
      const made = await cli(['--json', 'keys', 'create', '--by', 'ben']);
      const { line, fingerprint } = JSON.parse(made.stdout) as { line: string; fingerprint: string };
      kit.world.policy = { ...signed(signer('Ben', line)), fourEyes: true, approvers: ['ana', 'Ben'] };
      const { handle, id, plan } = await gate(kit);
      const bare = await cli(['approve', id, '--plan', plan, '--by', 'cleo']);
      expect([bare.code, bare.stderr]).toEqual([
        2,
        expect.stringMatching(/^Nothing was sent: .*knows no key of cleo, only of: Ben/),
      ]);
      const words = { plan, by: 'ben' };
      await expect(handle.executeUpdate('approve', { args: [words] })).rejects.toMatchObject({
        cause: {
          message: `this must be signed with a key of ben (those of ben: ${fingerprint}): \`runbooks approve ${id} --plan ${plan}\` does that`,
        },
      });
      const yes = await cli(['approve', id, '--plan', plan, '--by', 'ben', '--note', 'go']);
      expect([yes.code, yes.stdout]).toEqual([0, 'approve by ben taken\n']);
      const { report } = await kit.finish(handle);
      expect(report).toMatchObject({
        outcome: 'SUCCEEDED',
        approvals: [{ plan, by: 'ben', note: 'go', key: fingerprint }],
      });
      const full = await reportFromHistory(env.client, id);
      const { pid } = process;
      expect(full.approvals[0]?.identity).toMatch(new RegExp(`^${pid}@`));
      expect(renderMarkdown(full)).toMatch(
        new RegExp(`\\| ben \\| signed by key ${fingerprint.replace(/[+/]/g, '.')}, identity ${pid}@`),
      );
    }));

  it('keeps an answer that it has taken when it is reset, which gives it another run ID', () =>
    withKit(env, async (kit) => {
      const file = join(home, 'reset');
      kit.world.policy = signed(signer('ben', keygen(file)));
      const { handle, id, plan } = await gate(kit);
      await cli(['approve', id, '--plan', plan, '--by', 'ben', '--key', file]);
      await kit.finish(handle);
      const { events } = await handle.fetchHistory();
      const last = events?.findLast((event) => event.workflowTaskCompletedEventAttributes);
      const { runId } = await env.client.workflowService.resetWorkflowExecution({
        namespace: 'default',
        workflowExecution: { workflowId: id },
        reason: 'a test',
        requestId: id,
        ...(last?.eventId == null ? {} : { workflowTaskFinishEventId: last.eventId }),
      });
      const again = await kit.finish(env.client.workflow.getHandle(id, runId));
      expect(again.report).toMatchObject({ outcome: 'SUCCEEDED', runId, approvals: [{ by: 'ben' }] });
    }));

  it('is approved through ssh-agent, with a key that ssh-keygen made and encrypted', () =>
    withKit(env, async (kit) => {
      const file = join(home, 'encrypted');
      const line = keygen(file, 'secret words');
      kit.world.policy = signed(signer('ben', line));
      const { handle, id, plan } = await gate(kit);
      const args = ['approve', id, '--plan', plan, '--by', 'ben'];
      const alone = await cli([...args, '--key', file]);
      expect([alone.code, alone.stderr]).toEqual([2, expect.stringContaining('is encrypted; ssh-add')]);
      addToAgent(agentSocket, file, 'secret words');
      expect((await cli(args)).stderr).toMatch(/none of the keys .* is in your files or in ssh-agent/);
      expect((await cli(args, { SSH_AUTH_SOCK: agentSocket })).stdout).toBe('approve by ben taken\n');
      expect((await kit.finish(handle)).report?.outcome).toBe('SUCCEEDED');
    }));

  it('is answered with the key of a file, which only its owner may read', () =>
    withKit(env, async (kit) => {
      const file = join(home, 'plain');
      kit.world.policy = signed(signer('ben', keygen(file)));
      const handle = await kit.start('asking', 'asked');
      const { id } = await kit.waiting(handle, 'decision');
      const args = ['decide', 'asked', '--question', id, '--choice', 'left', '--by', 'ben', '--key', file];
      chmodSync(file, 0o644);
      // It is there, and the run knows it: only that is wrong.
      expect((await cli(args)).stderr).toMatch(
        /could not be signed for asked: \S+plain can be read by others; chmod 600 \S+plain\.\n$/,
      );
      const nowhere = await cli([...args.slice(0, -1), join(home, 'nowhere')]);
      expect(nowhere.stderr).toMatch(/nowhere cannot be used: there is no such file\.\n$/);
      chmodSync(file, 0o600);
      expect((await cli(args)).stdout).toBe('decide by ben taken\n');
      // It is checked, so nobody's word is needed.
      await kit.waiting(handle, 'task');
      expect((await cli(['done', 'asked', '--by', 'anybody'])).stdout).toBe('done by anybody taken\n');
      const { report } = await kit.finish(handle);
      const { fingerprint } = parsePublicKey(readFileSync(`${file}.pub`, 'utf8'));
      expect(report?.timeline.map(({ detail }) => detail)).toContain(
        `decide by ben (signed by key ${fingerprint}): left`,
      );
    }));

  it('takes a no from anybody, and no signature twice', () =>
    withKit(env, async (kit) => {
      const file = join(home, 'twice');
      kit.world.policy = signed(signer('ben', keygen(file)));
      const { handle, id, plan } = await gate(kit);
      expect((await cli(['reject', id, '--plan', plan, '--by', 'anybody'])).stdout).toBe(
        'reject by anybody taken\n',
      );
      expect((await kit.finish(handle)).failure?.type).toBe('REJECTED');

      // The facts change and change back, so the same plan is asked for twice.
      let value = 1;
      kit.world.acts.look = async () => ({ value });
      const again = await gate(kit);
      value = 2;
      await cli(['approve', again.id, '--plan', again.plan, '--by', 'ben', '--key', file]);
      const other = await kit.until(again.handle, ({ waiting }) =>
        waiting.some((one) => one.id !== again.plan),
      );
      value = 1;
      await cli(['approve', again.id, '--plan', other.waiting[0]!.id, '--by', 'ben', '--key', file]);
      await kit.until(again.handle, ({ waiting }) => waiting.some((one) => one.id === again.plan));
      const { history } = await reportFromHistory(env.client, again.id);
      const sent = JSON.parse(history.messages[0]!.argument) as unknown;
      await expect(again.handle.executeUpdate('approve', { args: [sent] })).rejects.toMatchObject({
        cause: { message: 'this signature was used before; sign again' },
      });
      await again.handle.terminate();
    }));
});

describe('a run that takes any answer', () => {
  it('refuses a signature that does not hold, and takes none for a claim', () =>
    withKit(env, async (kit) => {
      const file = join(home, 'unknown');
      keygen(file);
      kit.world.policy = { proof: 'none', signers: [signer('cleo', keygen(join(home, 'cleo')))] };
      const { handle, id, plan } = await gate(kit);
      const args = ['approve', id, '--plan', plan, '--by', 'ben'];
      const wrong = await cli([...args, '--key', file]);
      expect([wrong.code, wrong.stderr]).toEqual([
        2,
        expect.stringMatching(/this run knows no key SHA256:.*had none of ben/),
      ]);
      expect((await cli(args, { SSH_AUTH_SOCK: agentSocket })).stdout).toBe('approve by ben taken\n');
      const { report } = await kit.finish(handle);
      expect(report?.approvals[0]).not.toHaveProperty('key');
      expect(report?.timeline.map(({ detail }) => detail)).toContain('approve by ben (claimed)');
    }));

  it('takes no answer that comes together with the timer of its deadline', async () => {
    let late: Promise<unknown> | undefined;
    const workflowId = 'late';
    await withKit(env, async ({ world, start, waiting }) => {
      world.policy = { approvalExpiresMs: 4_000 };
      const handle = await start('fiveMovements', workflowId);
      const { id } = await waiting(handle);
      const timer = async (which: 'timerStartedEventAttributes' | 'timerFiredEventAttributes') => {
        while ((await handle.fetchHistory()).events?.some((event) => event[which]) !== true)
          await new Promise((resolve) => setTimeout(resolve, 50));
      };
      await timer('timerStartedEventAttributes');
      await stopKit();
      await timer('timerFiredEventAttributes');
      // Both wait for the next worker.
      late = handle
        .executeUpdate('approve', { args: [{ plan: id, by: 'ben' }] })
        .catch((error: Error) => error.cause);
      await new Promise((resolve) => setTimeout(resolve, 300));
    });
    await withKit(env, async ({ world, finish }) => {
      const { failure } = await finish(env.client.workflow.getHandle(workflowId));
      expect(failure?.message).toMatch(/^REJECTED: nobody approved plan/);
      expect(await late).toMatchObject({
        message: expect.stringMatching(/^too late: it could be answered until/) as string,
      });
      expect(world.log.filter((line) => line.startsWith('change'))).toEqual([]);
    });
  });
});
