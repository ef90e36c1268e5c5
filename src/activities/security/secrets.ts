import { randomBytes } from 'node:crypto';
import type { ChangeConfig } from '../../config/change-schema';
import { remember } from '../../config/secrets';
import { databaseIn, targetOf, type Fence, type Place } from '../../contract/place';
import { duration } from '../../contract/text';
import { runFencedChange } from '../postgres/session/fenced-change';
import { withHeldFence } from '../postgres/session/held-fence';
import { longestRunMs, readConfiguredCommand } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { withProgress } from '../support/heartbeat';
import { problemOf } from '../support/http';
import { hushed } from './hushed';
import { probeVersion, type Probe } from './probe';
import { secretOf, secretsOf, type SecretConfig } from './settings';
import { listVersions, variablesOf, type SecretRef, type SecretVersion } from './versions';

/** A secret at one moment: names and times, and never a value. */
export interface SecretStatus {
  secret: string;
  active: SecretVersion;
  /** Accepted beside the active one. */
  accepted: string[];
  ageMs: number;
  maxAgeMs: number;
  overlap: boolean;
  graceMs: number;
  settleMs: number;
  canRestore: boolean;
}

/** What can be said of the secrets of an environment. */
export interface SecretsFound {
  known: SecretStatus[];
  /** Of these nobody can say how old they are. */
  unknown: { secret: string; detail: string }[];
}

export interface SecretChange extends SecretRef {
  version: string;
  fence: Fence;
}

/** The secrets of an application, by names of versions. No value of one is ever returned, logged, or among the arguments of a program. */
export function createSecretActivities(deps: ActivityDeps) {
  /** What the command or the answer said is left out: it may hold the value. */
  async function change(
    { secret, version, fence, ...place }: SecretChange,
    what: 'activate' | 'retire' | 'restore',
  ): Promise<{ detail: string }> {
    const config: ChangeConfig | undefined = secretOf(deps, { ...place, secret })[what];
    if (config === undefined)
      throw fail('InvalidInput', `secrets.${secret}.${what} is not configured for ${targetOf(place)}.`);
    const action = `${what} version ${version} of ${secret}`;
    await hushed(`${action} on ${targetOf(place)}`, () =>
      runFencedChange(deps, { ...place, fence }, config, action, { secret, version }),
    );
    return { detail: `${action}: done` };
  }

  return {
    /**
     * The named secrets, or all, with their ages. Reads only, so a retry is safe. Throws InvalidInput where none is configured,
     * or none of that name.
     */
    async readSecrets({ secrets, ...place }: Place & { secrets?: string[] }): Promise<SecretsFound> {
      const names = secrets ?? Object.keys(secretsOf(deps, place));
      if (names.length === 0)
        throw fail(
          'InvalidInput',
          `${targetOf(place)} has no secrets in runbooks.yaml; add them under its \`secrets\`, then start again.`,
        );
      const found: SecretsFound = { known: [], unknown: [] };
      const progress = { phase: 'list versions', done: 0, total: names.length, unit: 'statements' as const };
      await withProgress(progress, async () => {
        for (const secret of names) {
          const config = secretOf(deps, { ...place, secret });
          try {
            found.known.push(statusOf(secret, config, await listVersions(deps, { ...place, secret })));
          } catch (error) {
            found.unknown.push({ secret, detail: problemOf(error) });
          }
        }
      });
      return found;
    },

    /**
     * Has the store carry a version of that name, with a value that only it knows. One that is there stays as it is, so a retry
     * makes no second one: that is looked at while nobody else may change it. Throws InvalidInput, StaleFencingToken, FenceBusy,
     * SecretUnknown, CommandFailed.
     */
    async addSecretVersion({ version, fence, ...ref }: SecretChange): Promise<{ existed: boolean }> {
      const { add, versions, generate } = secretOf(deps, ref);
      const action = `add version ${version} of ${ref.secret} on ${targetOf(ref)}`;
      const held = {
        fence,
        waitMs: longestRunMs(add) + 2 * longestRunMs(versions),
        evenReadOnly: true,
        action: `hold the fence to ${action}`,
      };
      return withHeldFence(deps, databaseIn(ref), held, ({ hold }) =>
        hold(async (signal) => {
          const isThere = async () =>
            (await listVersions(deps, ref, signal)).some((one) => one.version === version);
          if (await isThere()) return { existed: true };
          const variables = {
            ...variablesOf(ref, version),
            RUNBOOKS_FENCING_TOKEN: String(fence.token),
          };
          const value = generate === undefined ? undefined : made(generate);
          await hushed(action, () => readConfiguredCommand(deps, add, variables, signal, value));
          if (await isThere()) return { existed: false };
          throw fail(
            'SecretUnknown',
            `Could not ${action}: the command ended well, and the store has no such version.`,
          );
        }),
      );
    },

    /** Has the application use it. A retry does it again. Throws InvalidInput, StaleFencingToken, FenceBusy, CommandFailed, HttpFailed. */
    async activateSecretVersion(input: SecretChange): Promise<{ detail: string }> {
      return change(input, 'activate');
    },

    /** Has the application refuse it. A retry does it again. Throws as `activateSecretVersion`. */
    async retireSecretVersion(input: SecretChange): Promise<{ detail: string }> {
      return change(input, 'retire');
    },

    /** Has the application accept it again. A retry does it again. Throws as `activateSecretVersion`. */
    async restoreSecretVersion(input: SecretChange): Promise<{ detail: string }> {
      return change(input, 'restore');
    },

    /** Whether the application accepts a version, or one that nobody made. Changes nothing, so a retry is safe. Throws InvalidInput. */
    async probeSecretVersion(input: SecretRef & { version: string | null }): Promise<Probe> {
      return probeVersion(deps, input);
    },
  };
}

/** A clock of the store that is ahead makes no secret younger than new, and one that is far ahead says nothing. */
const FUTURE_MS = 5 * 60_000;

function statusOf(secret: string, config: SecretConfig, versions: SecretVersion[]): SecretStatus {
  const active = versions.find(({ state }) => state === 'active')!;
  const ageMs = Date.now() - Date.parse(active.createdAt);
  if (ageMs < -FUTURE_MS)
    throw fail(
      'SecretUnknown',
      `${secret} was made in ${duration(-ageMs)} from now, as its store says: nobody knows how old it is. Set the clocks.`,
    );
  return {
    secret,
    active,
    accepted: versions.filter(({ state }) => state === 'accepted').map(({ version }) => version),
    ageMs: Math.max(0, ageMs),
    maxAgeMs: config.maxAgeDays * 86_400_000,
    overlap: config.overlap,
    graceMs: config.overlap ? config.graceMinutes * 60_000 : 0,
    settleMs: config.settleSeconds * 1_000,
    canRestore: config.restore !== undefined,
  };
}

function made({ bytes, encoding }: NonNullable<SecretConfig['generate']>): string {
  const value = randomBytes(bytes).toString(encoding);
  remember(value);
  return value;
}
