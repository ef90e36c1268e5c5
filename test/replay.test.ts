import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeterminismViolationError } from '@temporalio/workflow';
import { Worker } from '@temporalio/worker';
import { workflowBundle } from '../src/worker/bundle';
import * as workflows from '../src/workflows';
import { ownCatalogue } from '../src/packs/own-cards';
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
/** Under its own workflow ID: those of its children begin with it. */
const replay = (history: HistoryJson) =>
  Worker.runReplayHistory(
    { workflowBundle: workflowBundle() },
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

  it('that the code no longer makes are noticed', async () => {
    const history = read('check-backups.json');
    const scheduled = history.events.find(
      (event) => event.activityTaskScheduledEventAttributes !== undefined,
    );
    scheduled!.activityTaskScheduledEventAttributes!.activityType.name = 'somethingElse';
    await expect(replay(history)).rejects.toThrow(DeterminismViolationError);
  });
});

describe('the registry', () => {
  it('offers every runbook of the catalogue under its own name, and no other but the guard', () => {
    expect(Object.keys(workflows).sort()).toEqual(
      [...ownCatalogue.cards.map(({ name }) => name), 'guard'].sort(),
    );
    for (const [exported, workflow] of Object.entries(workflows))
      expect((workflow as { name: string }).name).toBe(exported);
  });
});
