import { z } from 'zod';
import { changeSchema } from '../../config/change-schema';
import { serviceOf } from '../../config/load';
import { commandSchema } from '../../config/primitives';
import type { ServiceConfig } from '../../config/schema';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';

export const dependenciesSchema = z
  .strictObject({
    audit: commandSchema.describe(
      'prints what `npm audit --json` prints, e.g. run: [npm, audit, --json] in the `directory` of the repository',
    ),
    outdated: commandSchema
      .optional()
      .describe('prints what `npm outdated --json` prints. Default: only vulnerabilities are reviewed'),
    open: changeSchema(['title', 'body', 'key'])
      .optional()
      .describe(
        'opens a pull request or an issue with {title} and {body} (TITLE, BODY); where one with {key} (KEY) is open, it is taken as it is. Default: a task for a person',
      ),
  })
  .describe('the packages of the repository, for reviewDependencies. Nothing is ever installed');

export type DependenciesConfig = z.infer<typeof dependenciesSchema>;

export const dependenciesSettings = {
  service: z.object({ dependencies: dependenciesSchema.optional() }),
};

/** Throws InvalidInput. */
export function dependenciesOf({ config }: ActivityDeps, service: string): DependenciesConfig {
  const { dependencies } = serviceOf(config, service) as ServiceConfig & {
    dependencies?: DependenciesConfig;
  };
  if (dependencies !== undefined) return dependencies;
  throw fail(
    'InvalidInput',
    `services.${service}.dependencies is missing in runbooks.yaml: it says how the packages are audited. Add it, then start again.`,
  );
}
