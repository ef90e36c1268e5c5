import {
  ScheduleClient,
  type Client,
  type ScheduleDescription,
  type ScheduleOptions,
} from '@temporalio/client';
import type { WithCatalogue } from '../catalogue/catalogue';
import type { Config } from '../config/schema';
import { definitionOf, definitionOnServer } from './definition';
import { desiredSchedule } from './desired';
import { changesBetween, type Difference } from './diff';

/** Thrown when a schedule cannot become what the configuration says; nothing of that schedule was changed. */
export class ScheduleNotApplied extends Error {
  constructor(id: string, why: string) {
    super(`Schedule ${id} was not applied: ${why}.`);
    this.name = 'ScheduleNotApplied';
  }
}

/**
 * Makes the server's schedules what the configuration says, as `diffSchedules` found it. Applying again changes nothing.
 * A paused schedule stays paused. Removes only with `prune`. Throws ScheduleNotApplied: before anything is changed where
 * an ID is taken, else at the first one that somebody changed since the difference was read.
 */
export async function applySchedules(
  client: Client,
  config: Config & WithCatalogue,
  differences: Difference[],
  { prune = false }: { prune?: boolean } = {},
): Promise<void> {
  const taken = differences.find(({ what }) => what === 'taken');
  if (taken !== undefined)
    throw new ScheduleNotApplied(taken.id, `${taken.remarks.join('; ')}. Nothing else was applied either`);
  for (const { id, what, found } of differences) {
    if (what === 'create') await client.schedule.create(desiredSchedule(config, id));
    if (what === 'change' && found !== undefined)
      await changeSchedule(client, desiredSchedule(config, id), found);
    if (what === 'remove' && prune) await client.schedule.getHandle(id).delete();
  }
}

async function changeSchedule(client: Client, desired: ScheduleOptions, found: ScheduleDescription) {
  const { spec, action, policies, scheduleId } = desired;
  const { paused, note, remainingActions } = found.state;
  const hadNote = definitionOnServer(found)['note'];
  // The note of a paused schedule says why.
  const newNote = paused || action.staticDetails === hadNote ? note : desired.state?.note;
  await boundTo(client, found)
    .getHandle(scheduleId)
    .update(() => ({
      spec,
      action,
      policies,
      state: { paused, note: newNote, remainingActions },
    }));
  const now = await client.schedule.getHandle(scheduleId).describe();
  if (changesBetween(definitionOnServer(now), definitionOf(desired)).length > 0) {
    throw new ScheduleNotApplied(
      scheduleId,
      'somebody changed, paused or resumed it at the same moment. Run `runbooks schedules apply` again',
    );
  }
}

/**
 * A client whose updates count only while the schedule is as it was read: otherwise one that failed or was paused in
 * between would be resumed by our update. The SDK sends no conflict token by itself; the server drops an update with an
 * old one without a word.
 */
function boundTo(client: Client, { raw }: ScheduleDescription): ScheduleClient {
  const { workflowService } = client;
  const { conflictToken } = raw;
  const bound = new Proxy(workflowService, {
    get: (service, name: keyof typeof workflowService) =>
      name === 'updateSchedule'
        ? (request: object) => service.updateSchedule({ ...request, conflictToken })
        : service[name],
  });
  const connection = Object.create(client.connection, {
    workflowService: { value: bound },
  }) as typeof client.connection;
  return new ScheduleClient({ ...client.schedule.options, connection });
}
