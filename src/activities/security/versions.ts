import { z } from 'zod';
import { targetOf, type Place } from '../../contract/place';
import { readConfiguredCommand } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { hushed } from './hushed';
import { secretOf } from './settings';

export interface SecretRef extends Place {
  secret: string;
}

/** What a history may know of a secret. */
export interface SecretVersion {
  version: string;
  /** ISO time. */
  createdAt: string;
  /** `active`: the application signs with it. `accepted`: it takes what was signed with it. */
  state: 'active' | 'accepted' | 'retired';
}

const MAX_VERSIONS = 200;

const listSchema = z
  .array(
    z.object({
      version: z.string().regex(/^[A-Za-z0-9][\w.-]{0,63}$/),
      createdAt: z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString()),
      state: z.enum(['active', 'accepted', 'retired']),
    }),
  )
  .max(MAX_VERSIONS)
  .refine((all) => all.filter(({ state }) => state === 'active').length === 1)
  .refine((all) => new Set(all.map(({ version }) => version)).size === all.length);

/** For the command of a secret. */
export function variablesOf(
  { service, environment, secret }: SecretRef,
  version?: string,
): Record<string, string> {
  return {
    RUNBOOKS_SERVICE: service,
    RUNBOOKS_ENVIRONMENT: environment,
    SECRET: secret,
    ...(version === undefined ? {} : { VERSION: version }),
  };
}

/**
 * What the store has, of which one is active. Reads only. Throws InvalidInput, CommandFailed, and SecretUnknown where the
 * list is none: it is never quoted.
 */
export async function listVersions(
  deps: ActivityDeps,
  ref: SecretRef,
  signal?: AbortSignal,
): Promise<SecretVersion[]> {
  const { versions } = secretOf(deps, ref);
  const action = `list the versions of ${ref.secret} on ${targetOf(ref)}`;
  const printed = await hushed(action, () => readConfiguredCommand(deps, versions, variablesOf(ref), signal));
  const parsed = listSchema.safeParse(jsonIn(printed));
  if (parsed.success) return parsed.data;
  throw fail(
    'SecretUnknown',
    `Could not ${action}: secrets.${ref.secret}.versions must print a list as JSON, each version once, at most ${MAX_VERSIONS}, with a time with its zone, and one of them active. What it printed is not shown, because it may hold the secret.`,
  );
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
