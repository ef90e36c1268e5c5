import type { Replication, ReplicationSlot, Subscription } from '../../contract/backup';
import type { LiveState } from '../../contract/database';
import { type Place, targetOf } from '../../contract/place';
import type { Run } from '../kit';

/** What there is, and what there was when it was backed up and is no more. */
export function bothOf(live: Replication | undefined, backedUp: Replication | undefined): Replication {
  const gone = <T extends { name: string }>(then: T[] = [], now: T[] = []): T[] =>
    then.filter(({ name }) => !now.some((one) => one.name === name)).map((one) => ({ ...one, gone: true }));
  return {
    slots: [...(live?.slots ?? []), ...gone(backedUp?.slots, live?.slots)],
    subscriptions: [...(live?.subscriptions ?? []), ...gone(backedUp?.subscriptions, live?.subscriptions)],
  };
}

/** A sentence for people who decide; undefined where there is none. */
export function describeReplication({ slots, subscriptions }: Replication): string | undefined {
  const then = ({ gone = false }): string => (gone ? ', as it was when it was backed up' : '');
  const parts = [
    ...slots.map(
      (slot) =>
        `replication slot ${slot.name}${slot.plugin === null ? '' : ` (${slot.plugin})`}${then(slot)}: who reads from it must begin anew`,
    ),
    ...subscriptions.map(
      (one) =>
        `subscription ${one.name}${one.publications === null ? '' : ` to ${one.publications.join(', ')}`}${then(one)}: it has to be made again`,
    ),
  ];
  if (parts.length === 0) return undefined;
  return `the copy has none of these, and the statements that make them again come with the outcome: ${parts.join('; ')}`;
}

interface Databases {
  live: string;
  /** Null where there was no live database to keep. */
  former: string | null;
}

/** What to run, and in which database. Only who reads the changes knows from where to go on, so no run does it by itself. */
export function replicationStatements({ slots, subscriptions }: Replication, databases: Databases): string[] {
  return [
    ...slots.flatMap((slot) => forSlot(slot, databases)),
    ...subscriptions.flatMap((subscription) => forSubscription(subscription, databases)),
  ];
}

function forSlot(slot: ReplicationSlot, { live, former }: Databases): string[] {
  const { name, plugin, twoPhase = false, failover = false, gone = false } = slot;
  const given = [literal(name), literal(plugin ?? '<its output plugin>'), 'false', String(twoPhase)];
  if (failover) given.push('true');
  return [
    ...(former === null || gone ? [] : [`in ${former}: SELECT pg_drop_replication_slot(${literal(name)})`]),
    `in ${live}: SELECT pg_create_logical_replication_slot(${given.join(', ')})`,
  ];
}

function forSubscription(subscription: Subscription, { live, former }: Databases): string[] {
  const { name, publications, slot = name, gone = false } = subscription;
  const from = publications === null ? '<its publications>' : publications.map(quoted).join(', ');
  const there = former !== null && !gone;
  const connection = there ? '<that subconninfo>' : '<how to reach the publisher>';
  // What was not taken yet waits in the slot of the other server; a new slot would begin now.
  const options =
    slot === null
      ? 'connect = false, slot_name = NONE'
      : `create_slot = false, slot_name = ${literal(slot)}, copy_data = false`;
  return [
    ...(there
      ? [
          `in ${former}: SELECT subconninfo FROM pg_subscription WHERE subname = ${literal(name)}`,
          `in ${former}: BEGIN READ WRITE; ALTER SUBSCRIPTION ${quoted(name)} DISABLE; ALTER SUBSCRIPTION ${quoted(name)} SET (slot_name = NONE); COMMIT`,
        ]
      : []),
    `in ${live}: CREATE SUBSCRIPTION ${quoted(name)} CONNECTION '${connection}' PUBLICATION ${from} WITH (${options})`,
  ];
}

/** Once the copy is live: a task for people, in the report and to every channel. */
export async function leaveReplicationTask(
  run: Run,
  place: Place,
  { database, condition, replication }: LiveState,
  former: string,
): Promise<void> {
  if (replication === undefined || !hasReplication(replication)) return;
  const databases = { live: database, former: condition === 'missing' ? null : former };
  const stays = ({ gone = false }): boolean => databases.former !== null && !gone;
  const task = replicationStatements(replication, databases).map((statement) => `${statement};`);
  if (replication.slots.some(stays))
    task.push('A former slot keeps WAL on the disk of the server until it is dropped.');
  if (replication.slots.length > 0) task.push('Who reads from a slot takes a new snapshot first.');
  if (replication.subscriptions.some(stays))
    task.push(
      `What a subscription brought since the backup is in ${former} alone: carry it over, or empty its tables and subscribe with copy_data = true.`,
    );
  const text = task.join('\n');
  run.note('Replication is to be set up again', text, { failed: true });
  run.fact('replicationToSetUp', namesOf(replication).join(', '));
  await run.announce(`${targetOf(place)}: replication is to be set up again by hand.\n${text}`);
}

/** For the last sentence of a run. */
export function replicationReminder({ replication }: LiveState): string {
  return replication === undefined || !hasReplication(replication)
    ? ''
    : `; replication is to be set up again by hand (${namesOf(replication).join(', ')}): the statements are in the report`;
}

const namesOf = ({ slots, subscriptions }: Replication): string[] => [
  ...slots.map(({ name }) => `slot ${name}`),
  ...subscriptions.map(({ name }) => `subscription ${name}`),
];

const hasReplication = (replication: Replication): boolean => namesOf(replication).length > 0;

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const literal = (value: string): string => `'${value.replaceAll("'", "''")}'`;
