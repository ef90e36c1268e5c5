import { z } from 'zod';
import { changeSchema } from '../../config/change-schema';
import { operationSchema } from '../../config/http-operation-schema';
import { environmentOf, UnknownName } from '../../config/load';
import { commandSchema, plainName } from '../../config/primitives';
import type { EnvironmentConfig } from '../../config/schema';
import { targetOf, type Place } from '../../contract/place';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { containmentSchema } from './containment-settings';

/** In a command SECRET, VERSION, RUNBOOKS_SERVICE, RUNBOOKS_ENVIRONMENT, RUNBOOKS_FENCING_TOKEN. */
const DECLARED = ['service', 'environment', 'secret', 'version'];

const probeSchema = z
  .strictObject({
    operation: operationSchema(DECLARED)
      .optional()
      .describe('2xx: accepted; 401 or 403: refused; `auth` has {version} in the name of a file or variable'),
    command: commandSchema
      .optional()
      .describe(
        'prints "accepted" or "refused" as its last line; a version that the store does not have is one that nobody made',
      ),
  })
  .refine(({ operation, command }) => (operation === undefined) !== (command === undefined), {
    message: 'one of operation, command',
  })
  .refine(
    ({ operation }) => operation === undefined || JSON.stringify(operation.auth ?? '').includes('{version}'),
    {
      path: ['operation', 'auth'],
      message: 'a text with {version}, e.g. ${file:secrets/{version}}: else every version is the same to it',
    },
  );

const secretSchema = z
  .strictObject({
    overlap: z
      .boolean()
      .default(true)
      .describe('the application accepts two versions at once; false: a swap, which is announced and asked'),
    maxAgeDays: z
      .number()
      .positive()
      .max(3_650)
      .default(80)
      .describe(
        'older than that, it is due; less than the time between two scheduled rotations, or every second one finds nothing due',
      ),
    graceMinutes: z
      .number()
      .min(0)
      .max(129_600)
      .default(60)
      .describe('how long what was issued with a former version lives on: it is not retired before'),
    settleSeconds: z
      .number()
      .min(0)
      .max(3_600)
      .default(30)
      .describe('how long the application may take to notice a change'),
    generate: z
      .strictObject({
        bytes: z.number().int().min(16).max(512).default(32),
        encoding: z.enum(['base64url', 'base64', 'hex']).default('base64url'),
      })
      .optional()
      .describe('the worker makes the value, for the standard input of `add`; without it `add` makes one'),
    versions: commandSchema.describe(
      'prints JSON: [{"version": "...", "createdAt": "<time>", "state": "active" | "accepted" | "retired"}], and no value',
    ),
    add: commandSchema.describe(
      'has the application accept VERSION too, and sign with the former one; where VERSION is there, nothing happens',
    ),
    activate: changeSchema(DECLARED).describe('has the application use the version from now on'),
    probe: probeSchema.describe('whether the application accepts what is signed with a version'),
    retire: changeSchema(DECLARED).describe('has the application refuse the version'),
    restore: changeSchema(DECLARED)
      .optional()
      .describe('has it accept a retired version again; without it retiring cannot be taken back'),
  })
  .describe(
    'one secret; every command and request is repeatable, and is never quoted, because it may print the value',
  );

export const secretsSchema = z
  .record(plainName, secretSchema)
  .default({})
  .describe('secrets that are rotated, by their names');

export const securitySettings = {
  environment: z.object({ secrets: secretsSchema, security: containmentSchema.optional() }),
};

export type SecretConfig = z.infer<typeof secretSchema>;
export type ProbeConfig = SecretConfig['probe'];

/** Those of an environment, by their names. */
export function secretsOf(
  { config }: ActivityDeps,
  { service, environment }: Place,
): Record<string, SecretConfig> {
  const found = environmentOf(config, service, environment) as EnvironmentConfig & {
    secrets?: Record<string, SecretConfig>;
  };
  return found.secrets ?? {};
}

/** Throws InvalidInput where there is none of that name. */
export function secretOf(deps: ActivityDeps, { secret, ...place }: Place & { secret: string }): SecretConfig {
  const secrets = secretsOf(deps, place);
  const found = Object.hasOwn(secrets, secret) ? secrets[secret] : undefined;
  if (found !== undefined) return found;
  throw fail(
    'InvalidInput',
    new UnknownName(`secret of ${targetOf(place)}`, secret, Object.keys(secrets)).message,
  );
}
