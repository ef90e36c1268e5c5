import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeterminismViolationError } from '@temporalio/workflow';
import { Worker } from '@temporalio/worker';
import { bundlePacks } from '../src/build/bundle-packs';
import { procedureProblems } from '../src/build/inspect';
import { workflowBundle } from '../src/build/workflow-bundle';
import { PACKAGE_ROOT } from '../src/config/version';
import { TRACED_FLAG } from '../src/contract/trace';
import type { Pack } from '../src/packs/definition/pack';
import { ownCatalogue, ownPacks } from '../src/packs/own';
import { quietTemporal } from './support/quiet';

quietTemporal();

const folder = join(__dirname, 'histories');
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
interface HistoryJson {
  events: {
    eventType: string;
    workflowExecutionStartedEventAttributes?: { workflowId: string };
    activityTaskScheduledEventAttributes?: { activityType: { name: string } };
  }[];
}
const read = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as HistoryJson;
/** Of the sources, so that a bundle built before a change proves nothing about it. */
let code: string;

beforeAll(async () => {
  const place = mkdtempSync(join(tmpdir(), 'replay-'));
  try {
    ({ code } = await bundlePacks(ownPacks, {
      entry: join(place, 'entry.cjs'),
      context: PACKAGE_ROOT,
      own: ownPacks,
    }));
  } finally {
    rmSync(place, { recursive: true });
  }
});

/** Under its own workflow ID: those of its children begin with it. */
const replay = (history: HistoryJson, flags = '') =>
  Worker.runReplayHistory(
    { workflowBundle: { code: `${flags}${code}` } },
    history,
    history.events[0]?.workflowExecutionStartedEventAttributes?.workflowId,
  );

describe('stored histories', () => {
  it('exist for every runbook', () => {
    const types = files.map((name) => JSON.stringify(read(name).events[0]));
    for (const { name } of ownCatalogue.cards)
      expect(types.some((first) => first.includes(`"${name}"`))).toBe(true);
  });

  it.each(files)('%s replays with the code of today', async (name) => {
    await replay(read(name));
  });

  it.each(files)('%s replays on a worker that sends traces', (name) =>
    replay(read(name), `globalThis.${TRACED_FLAG}=true;`),
  );

  it('that the code no longer makes are noticed', async () => {
    const history = read('check-backups.json');
    const scheduled = history.events.find(
      (event) => event.activityTaskScheduledEventAttributes !== undefined,
    );
    scheduled!.activityTaskScheduledEventAttributes!.activityType.name = 'somethingElse';
    await expect(replay(history)).rejects.toThrow(DeterminismViolationError);
  });
});

describe('the prebuilt bundle', () => {
  const prebuilt = readFileSync(workflowBundle().codePath, 'utf8');

  it('has a procedure for every card, under its own name, and no other workflow but the guard and the places', () => {
    expect(procedureProblems(prebuilt, ownPacks)).toEqual([]);
  });

  it('is refused when a card or a procedure stands alone', () => {
    const [platform, database, application, bookings, listings, payments, delivery, dependencies, incidents] =
      ownPacks as Pack[];
    const [first, ...others] = application!.cards;
    const changed = [
      { ...platform!, entities: [] },
      database!,
      { ...application!, cards: others },
      bookings!,
      listings!,
      payments!,
      delivery!,
      dependencies!,
      { ...incidents!, cards: [...incidents!.cards, { ...first!, name: 'leadNobody' }] },
    ];
    expect(procedureProblems(prebuilt, changed)).toEqual([
      expect.stringMatching(/^pack platform: the procedure guard has no card\. Add one/),
      expect.stringMatching(/^pack platform: the procedure places has no card\. Add one/),
      expect.stringMatching(/^pack application: the procedure rollBackDeployment has no card\. Add one/),
      expect.stringMatching(
        /^pack incidents: the card leadNobody has no procedure: .* exports respondToIncident$/,
      ),
    ]);
  });
});
