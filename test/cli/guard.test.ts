import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from './harness';
import { useStandIns } from './stand-ins';

const { cli, start, folder, temporal, client } = useStandIns();

describe('cancelling, pausing and the guard', () => {
  it('asks for the cancellation and notes the reason', async () => {
    const id = await start('wait');
    const { code, stdout } = await cli('cancel', id, '--reason', 'wrong service', '--by', 'sam');
    expect([code, stdout.includes('asked for')]).toEqual([0, true]);
    const watched = await cli('watch', id);
    expect(watched.code).toBe(1);
    expect((await cli('report', id)).stdout).toContain('cancellation asked for: wrong service');
  });

  it('lists what has ended, and how', async () => {
    const id = await start('succeed');
    await cli('watch', id);
    let runs: { workflowId: string; outcome: string; endedAt: string }[] = [];
    // Visibility comes a moment later.
    for (let round = 0; round < 100 && !runs.some(({ workflowId }) => workflowId === id); round += 1)
      runs = JSON.parse((await cli('status', '--ended', '--json')).stdout) as typeof runs;
    expect(runs.find(({ workflowId }) => workflowId === id)).toMatchObject({
      outcome: 'SUCCEEDED',
      endedAt: expect.stringMatching(/^20.*Z$/),
    });
    expect((await cli('status', '--ended')).stdout).toContain(id);
  });

  it('pauses, shows who and why, and resumes', async () => {
    expect((await cli('guard', 'booking/none')).code).toBe(5);
    expect((await cli('pause', '--reason', 'provider outage', '--by', 'sam')).code).toBe(0);
    expect((await cli('guard')).stdout).toMatch(/paused\s+by sam at .* UTC: provider outage/);
    expect((await cli('resume', '--reason', 'over', '--by', 'sam')).code).toBe(0);
    expect(JSON.parse((await cli('--json', 'guard')).stdout)).toMatchObject({ target: 'all', paused: null });
  });

  it('shows what the breaker of a service has against its automation, and lets a person change it with a name and a reason', async () => {
    const workflowId = await start('wait');
    const admission = {
      workflowId,
      runId: (await client.workflow.getHandle(workflowId).describe()).runId,
      runbook: 'relieveConnectionPool',
      fingerprint: 'pool',
      mode: 'auto',
      limits: { windowMs: 3_600_000, maxRecurrences: 3, cooldownMs: 0, flapLimit: 5, maxConcurrent: 3 },
      rank: 5,
      place: null,
      again: false,
    };
    const { workflow } = client;
    const guard = await workflow.signalWithStart('guard', {
      workflowId: 'guard/shop',
      taskQueue: 'runbooks',
      args: [{ target: 'shop' }],
      signal: 'admit',
      signalArgs: [admission],
    });
    expect((await cli('guard', 'shop')).stdout).toContain(admission.workflowId);
    await guard.signal('ended', { ...admission, outcome: 'NEEDS_HUMAN' });
    expect((await cli('guard', 'shop')).stdout).toMatch(
      /ladder\s+relieveConnectionPool up to observe, by breaker .*NEEDS_HUMAN/,
    );
    const raise = ['guard', 'shop', '--ladder', 'relieveConnectionPool', '--by', 'sam'];
    expect((await cli(...raise, '--mode', 'auto')).stderr).toContain('Say why');
    expect((await cli(...raise, '--reason', 'mended')).stderr).toContain('Up to which mode?');
    const refused = await cli(...raise, '--mode', 'yolo', '--reason', 'mended');
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('"mode" must be one of')]);
    const done = await cli(...raise, '--mode', 'auto', '--reason', 'mended');
    expect(done.code).toBe(0);
    expect(done.stdout).not.toMatch(/ladder\s+relieve/);
    expect(done.stdout).toMatch(/change\s+.* relieveConnectionPool may go up to auto by sam: mended/);
    expect((await cli('guard', 'shop', '--reset', 'relieveConnectionPool', '--reason', 'over')).code).toBe(0);
  });

  it('needs no sound configuration for the kill switch, and says which server it means', async () => {
    const file = join(folder.path, 'broken.yaml');
    writeFileSync(file, `temporal:\n  address: ${temporal.address}\nservices:\n\tbooking: {}\n`);
    const broken = (...args: string[]) =>
      runCli(['--config', file, ...args], { cwd: folder.path, env: { TEMPORAL_ADDRESS: '127.0.0.1:1' } });
    const paused = await broken('pause', '--reason', 'stop', '--by', 'sam', '--quiet');
    expect([paused.code, paused.stdout]).toEqual([0, expect.stringContaining('Paused')]);
    expect(paused.stderr).toMatch(/broken\.yaml has 1 problem.*\n.*line 4.*\n.*Going on without it/);
    expect(paused.stderr).toContain(`Temporal at ${temporal.address}, namespace default`);
    expect((await broken('guard')).stdout).toMatch(/paused\s+by sam/);
    const id = await start('wait');
    expect((await broken('status')).stdout).toContain(id);
    expect((await broken('status')).stdout).not.toContain('guard/all');
    expect((await broken('resume', '--reason', 'over')).code).toBe(0);
    // A slip beside the address is no reason to stop another server.
    writeFileSync(file, `temporal:\n  adress: x\n  address: ${temporal.address}\n  taskQueue: 7\n`);
    const beside = await broken('pause', '--reason', 'stop');
    expect([beside.code, beside.stderr]).toEqual([0, expect.stringContaining(`at ${temporal.address},`)]);
    expect((await broken('resume', '--reason', 'over')).code).toBe(0);
    // Unreadable altogether: the flags say where.
    writeFileSync(file, '\t{');
    const flags = ['--address', temporal.address, '--namespace', 'default'];
    expect((await broken('pause', '--reason', 'stop', ...flags)).code).toBe(0);
    expect((await broken('resume', '--reason', 'over', ...flags)).code).toBe(0);
    expect((await broken('pause', '--reason', 'stop')).code).toBe(4);
    expect((await broken('check')).code).toBe(2);
  });

  it('does not call a pause in force that nobody has heard yet', async () => {
    const database = "{ url: x, identity: { systemIdentifier: '0000000000', database: quiet } }";
    const file = join(folder.path, 'quiet.yaml');
    writeFileSync(
      file,
      `temporal: { address: '${temporal.address}', taskQueue: nobody }\nservices:\n  quiet: { environments: { production: { database: ${database} } } }\n`,
    );
    const pause = ['pause', '--target', 'quiet', '--reason', 'stop', '--by', 'sam'];
    expect(await runCli(['--config', file, ...pause], { cwd: folder.path })).toMatchObject({
      code: 4,
      stdout: '',
      stderr: expect.stringMatching(/is stored, but nothing answers for guard\/quiet yet.*runbooks worker/),
    });
  });

  it('frees a lease that a run kept for a person, with a name and a reason', async () => {
    const workflowId = await start('wait');
    const { workflow } = client;
    const { runId } = await workflow.getHandle(workflowId).describe();
    const guard = await workflow.signalWithStart('guard', {
      workflowId: 'guard/shop/production',
      taskQueue: 'runbooks',
      args: [{ target: 'shop/production' }],
      signal: 'request',
      signalArgs: [{ workflowId, runId, runbook: 'x', atLeast: 0, rank: 1 }],
    });
    const free = (...more: string[]) => cli('guard', 'shop/production', '--free', '--by', 'sam', ...more);
    expect((await free()).stderr).toContain('Say why');
    expect(await free('--reason', 'mended')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no run that needs a person keeps the lease'),
    });
    await guard.signal('keep', { workflowId, runId, why: 'the disk is full' });
    expect((await cli('guard', 'shop/production')).stdout).toContain('needs a person: the disk is full');
    // Who may answer it is a matter of its policy, and nothing that may be gone round.
    expect(await free('--reason', 'mended')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        new RegExp(`${workflowId} still runs.*runbooks done ${workflowId}`),
      ) as string,
    });
    await workflow.getHandle(workflowId).terminate();
    expect((await free('--reason', 'mended')).stdout).toMatch(/holder\s+nobody/);
  });

  it('frees what a guard keeps that was terminated, also of a target that no configuration names', async () => {
    const file = join(folder.path, 'named.yaml');
    const database = "{ url: x, identity: { systemIdentifier: '0000000000', database: shop } }";
    writeFileSync(file, `services: { shop: { environments: { production: { database: ${database} } } } }`);
    const workflowId = await start('wait');
    const { workflow } = client;
    const { runId } = await workflow.getHandle(workflowId).describe();
    const target = 'shop/production/application';
    const guard = await workflow.signalWithStart('guard', {
      workflowId: `guard/${target}`,
      taskQueue: 'runbooks',
      args: [{ target }],
      signal: 'request',
      signalArgs: [{ workflowId, runId, runbook: 'x', atLeast: 0, rank: 1 }],
    });
    await guard.query('state');
    await guard.signal('keep', { workflowId, runId, why: 'the switch is stuck' });
    expect((await cli('guard', target)).stdout).toContain('the switch is stuck');
    await guard.terminate();
    await workflow.getHandle(workflowId).terminate();
    const freed = await cli('--config', file, 'guard', target, '--free', '--reason', 'mended');
    expect([freed.code, freed.stderr]).toEqual([0, expect.stringContaining('is free')]);
  });

  it('takes no order about a breaker where nothing reads it', async () => {
    const order = ['--ladder', 'migrateDatabase', '--mode', 'propose', '--reason', 'calm'];
    await cli('pause', '--target', 'shop/staging', '--reason', 'begin');
    await cli('resume', '--target', 'shop/staging', '--reason', 'begin');
    await cli('pause', '--reason', 'begin');
    await cli('resume', '--reason', 'begin');
    // The kill switch is what a forgotten target means.
    for (const target of [[], ['shop/staging']]) {
      const refused = await cli('guard', ...target, ...order);
      expect([refused.code, refused.stderr]).toEqual([
        2,
        expect.stringMatching(/no breaker.*runbooks guard <service>/) as string,
      ]);
    }
    expect(
      await cli('guard', 'shop/staging', '--reset', 'migrateDatabase', '--reason', 'calm'),
    ).toMatchObject({
      code: 2,
    });
    const file = join(folder.path, 'named.yaml');
    const unknown = await cli('--config', file, 'guard', 'shop', ...order.with(1, 'migrateDatabas'));
    expect([unknown.code, unknown.stderr]).toEqual([
      2,
      expect.stringMatching(/no runbook "migrateDatabas".*did you mean "migrateDatabase"/) as string,
    ]);
  });

  it('pauses one target', async () => {
    await cli('pause', '--target', 'booking/production', '--reason', 'release', '--by', 'sam');
    expect(JSON.parse((await cli('guard', 'booking/production', '--json')).stdout)).toMatchObject({
      paused: { by: 'sam', reason: 'release' },
    });
  });
});
