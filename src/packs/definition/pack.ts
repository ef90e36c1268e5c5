import { isAbsolute } from 'node:path';
import type { Client } from '@temporalio/client';
import type { ActivityDeps } from '../../activities/support/deps';
import type { Card } from '../../catalogue/card';
import type { Project, WithCatalogue } from '../../catalogue/catalogue';
import type { PackSettings } from '../../config/settings';

/** Functions that a worker offers as activities, by their wire name. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each knows its own arguments
export type ActivityFunctions = Record<string, (...args: any[]) => Promise<unknown>>;

/** What a pack's activities are made with: the configuration with the pack's own sections, and every runbook's card. */
export type PackDeps<Settings extends PackSettings = object> = ActivityDeps<Settings> &
  WithCatalogue & { client?: Client };

/** Runbooks that belong together: what people see of them, what they do, and what they need of the configuration. */
export interface Pack<Settings extends PackSettings = PackSettings> {
  /** Unlike that of every other pack, e.g. `acme`. */
  name: string;
  /** One for each runbook, under whose name the workflows must export its procedure. */
  cards: readonly Card[];
  /** Absolute path of the module that exports the procedures: `require.resolve('./workflows')`. It is bundled, not loaded. */
  workflows: string;
  /** Exported workflows that are no runbooks and so have no card, e.g. one that lives for ever and others signal. */
  entities?: readonly string[];
  /** Makes the activities. Called once by each worker; it must not reach out to anything yet. */
  activities(deps: PackDeps<Settings>): ActivityFunctions;
  /** Sections of the configuration, by where they stand: `services.<name>`, `services.<name>.environments.<name>`. */
  settings?: Settings;
  /** Problems of the configuration that its schema cannot see, each beginning with its path. */
  check?(project: Project): string[];
  /** What a worker does when it starts and every hour, whatever runs there are, e.g. removing what has expired. */
  hourly?(deps: PackDeps<Settings>): Promise<unknown>;
}

/** Something about packs that a person must put right: which pack, what is wrong, what to do. */
export class PackError extends Error {
  constructor(readonly problems: string[]) {
    super(problems.join('\n'));
    this.name = 'PackError';
  }
}

/**
 * Declares a pack. The folder that `packs:` of a `runbooks.yaml` names exports it as its default.
 *
 *     export default definePack({
 *       name: 'acme',
 *       cards: [rerunJobCard],
 *       workflows: require.resolve('./workflows'),
 *       activities: createActivities,
 *       settings: { service: z.object({ cron: cronSchema.optional() }) },
 *     });
 *
 * Throws PackError for one that cannot be one.
 */
export function definePack<Settings extends PackSettings = object>(pack: Pack<Settings>): Pack<Settings> {
  const problems = shapeProblems(pack);
  if (problems.length > 0) throw new PackError(problems);
  return pack;
}

/** What keeps a value from being a pack; empty where it is one. */
export function shapeProblems(value: unknown): string[] {
  const { name, cards, workflows, activities, settings } = (value ?? {}) as Partial<
    Record<keyof Pack, unknown>
  >;
  if (typeof name !== 'string' || !/^[a-z][a-z0-9-]{0,60}$/.test(name))
    return [
      `a pack's name has lower-case letters, digits and dashes; got ${JSON.stringify(name) ?? 'nothing'}`,
    ];
  return [
    ...(Array.isArray(cards) ? [] : [`pack ${name}: \`cards\` is no list`]),
    ...(typeof workflows === 'string' && isAbsolute(workflows)
      ? []
      : [`pack ${name}: \`workflows\` is no absolute path; write require.resolve('./workflows')`]),
    ...(typeof activities === 'function'
      ? []
      : [`pack ${name}: \`activities\` is no function (deps) => ({ ... })`]),
    ...Object.keys(settings ?? {})
      .filter((part) => part !== 'service' && part !== 'environment')
      .map((part) => `pack ${name}: \`settings\` has a part "${part}"; known: service, environment`),
  ];
}
