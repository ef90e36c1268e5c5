import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { createPayloadCodec } from '../../src/config/payload-codec';
import { GUARD_MEMO, GUARD_TYPE, guardId } from '../../src/contract/guard';
import { useStandIns } from './stand-ins';

const { cli, folder, client } = useStandIns();

describe('a pause', () => {
  it('of what a target lies in holds the target back as well, and every command says so', async () => {
    const guarded = () => cli('guard', 'cinema/production', '--json');
    await cli('pause', '--target', 'cinema/production', '--reason', 'begin', '--by', 'sam');
    await cli('resume', '--target', 'cinema/production', '--reason', 'begin', '--by', 'sam');
    expect(JSON.parse((await guarded()).stdout)).toMatchObject({ paused: null, pausedAbove: [] });
    await cli('pause', '--target', 'cinema', '--reason', 'bad release', '--by', 'sam');
    await cli('pause', '--reason', 'provider outage', '--by', 'ana');
    try {
      expect((await cli('guard', 'cinema/production')).stdout).toMatch(
        /paused +by ana at .* UTC, everything: provider outage\n +by sam at .* UTC, all of cinema: bad release\n/,
      );
      expect(JSON.parse((await guarded()).stdout)).toMatchObject({
        paused: null,
        pausedAbove: [{ target: 'all' }, { target: 'cinema', by: 'sam' }],
      });
      expect(await cli('guard', 'cinema/none')).toMatchObject({
        code: 5,
        stderr: expect.stringMatching(
          /no guard of cinema\/none yet.* It is paused by ana at .*everything/,
        ) as string,
      });
      // Whoever asks what runs must hear why nothing does, also when only the result is asked for.
      const { stderr } = await cli('status', '--quiet');
      expect(stderr).toMatch(
        /^! Everything is paused by ana since .* UTC: provider outage\. `runbooks resume --r/m,
      );
      expect(stderr).toMatch(
        /^! cinema is paused by sam since .* `runbooks resume --target cinema --reason "..."`/m,
      );
      expect(await cli('resume', '--target', 'cinema/production', '--reason', 'over')).toMatchObject({
        code: 5,
        stderr: expect.stringMatching(
          /Nobody has paused cinema\/production.*\nEverything is paused.*\ncinema is/,
        ),
      });
      expect(await cli('resume', '--target', 'cinema', '--reason', 'over')).toMatchObject({
        code: 0,
        stderr: expect.stringMatching(/^! Everything is paused by ana/),
      });
      await cli('pause', '--target', 'cinema', '--reason', 'again');
    } finally {
      await cli('resume', '--reason', 'over');
      expect((await cli('resume', '--reason', 'over')).stderr).toMatch(
        /Nobody has paused every.*\ncinema is paused/,
      );
      await cli('resume', '--target', 'cinema', '--reason', 'over');
    }
  });

  it('refuses to pause what nobody knows, names the nearest, and says what a pause covers', async () => {
    const database = "{ url: x, identity: { systemIdentifier: '0000000000', database: booking } }";
    const file = join(folder.path, 'booking.yaml');
    writeFileSync(
      file,
      `services: { booking: { environments: { production: { database: ${database} }, staging: { database: ${database} } } } }`,
    );
    const pause = (target: string) =>
      cli('--config', file, 'pause', '--target', target, '--reason', 'release', '--by', 'sam');
    const unknown = await pause('bookng');
    expect([unknown.code, unknown.stdout]).toEqual([5, '']);
    expect(unknown.stderr).toMatch(/no target "bookng"; nothing was done.*did you mean "booking"/);
    expect((await cli('--config', file, 'guard', 'booking/prodution')).stderr).toContain(
      'did you mean "booking/production"?',
    );
    const service = await pause('booking');
    expect([service.code, service.stdout]).toEqual([
      0,
      expect.stringMatching(
        /on booking \(with booking\/production and booking\/staging\) until `runbooks resume --target booking --reason "..."`/,
      ),
    ]);
    // Leased by a runbook of somebody's: known to the server alone.
    await cli('pause', '--target', 'queue/mail', '--reason', 'release');
    expect((await pause('queue/mail')).code).toBe(0);
    const blind = await cli('pause', '--target', 'nobody/knows', '--reason', 'release');
    expect([blind.code, blind.stderr]).toEqual([0, expect.stringContaining('cannot be told')]);
    for (const none of ['booking/', '', 'two words'])
      expect(await cli('pause', '--target', none, '--reason', 'release')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(`"${none}" is no target; nothing was done`),
      });
    const never = await cli('resume', '--target', 'never/paused', '--reason', 'over');
    expect([never.code, never.stderr]).toEqual([
      5,
      expect.stringContaining('Nobody has paused never/paused'),
    ]);
  });

  it('says that a pause was sent where it cannot read what became of it: what is there is encrypted', async () => {
    const secret = Buffer.alloc(32, 7).toString('base64');
    const codec = createPayloadCodec({ keys: [{ id: 'a', secret }] }, folder.path);
    const { connection } = client;
    const sealing = new Client({ connection, dataConverter: { payloadCodecs: [codec] } });
    const memo = { [GUARD_MEMO]: { paused: null } };
    const sealed = { workflowId: guardId('sealed'), taskQueue: 'nobody', memo, args: [{ target: 'sealed' }] };
    const handle = await sealing.workflow.start(GUARD_TYPE, sealed);
    const said =
      /^The pause of sealed and .* was sent; .*could not be read\. What Temporal holds is encrypted, .*temporal\.codec/;
    try {
      expect(await cli('pause', '--target', 'sealed', '--reason', 'stop')).toMatchObject({
        code: 4,
        stderr: expect.stringMatching(said),
      });
      // Visibility comes a moment later.
      for (let round = 0; ; round += 1) {
        const { code, stderr } = await cli('status');
        expect(code).toBe(0);
        if (/could not be read\. What Temporal holds is encrypted/.test(stderr)) break;
        if (round > 400) throw new Error(`status never said it: ${stderr}`);
      }
    } finally {
      await handle.terminate();
    }
  });
});
