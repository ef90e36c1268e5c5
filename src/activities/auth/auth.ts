import { databaseIn, type Fence, type Place } from '../../contract/place';
import type { ChangeConfig } from '../../config/change-schema';
import { environmentOf } from '../../config/load';
import type { EnvironmentWith } from '../../config/settings';
import { withClient } from '../postgres/session/connection';
import { runFencedChange } from '../postgres/session/fenced-change';
import type { CommandResult } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { problemOf } from '../support/http';
import { withProgress } from '../support/heartbeat';
import {
  examineConfiguration,
  examineLogin,
  examineProvider,
  type AuthCheck,
  type ClockReading,
} from './examine';
import type { AuthConfig, authSettings } from './settings';

export type { AuthCheck, AuthTopic } from './examine';
export type AuthRemedy = 'clearCache' | 'redeploy';

/** How logging in goes at one moment. Neither tokens nor values of credentials are in it. */
export interface AuthExamination {
  checks: AuthCheck[];
  /** What the configuration can do. */
  remedies: AuthRemedy[];
  settleMs: number;
  /** What nobody will notice. */
  unconfigured: string[];
}

/** How people log in to an application. */
export function createAuthActivities(deps: ActivityDeps) {
  const { directory } = deps.config;

  function authOf({ service, environment }: Place): AuthConfig {
    const { authentication } = environmentOf(deps.config, service, environment) as EnvironmentWith<
      typeof authSettings
    >;
    if (authentication !== undefined) return authentication;
    throw fail(
      'InvalidInput',
      `services.${service}.environments.${environment}.authentication is missing in runbooks.yaml: it says how a test account logs in. Add it, then start again.`,
    );
  }

  /** The time of the database against ours; why it is not known where it cannot be asked. */
  async function databaseClock(place: Place): Promise<ClockReading | string> {
    try {
      return await withClient(deps, databaseIn(place), async (client) => {
        // The first statement of a session pays for connecting.
        await client.query('SELECT 1');
        const from = Date.now();
        const { rows } = await client.query<{ ms: number }>(
          'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms',
        );
        const to = Date.now();
        return {
          whose: 'the database',
          aheadMs: rows[0]!.ms - (from + to) / 2,
          giveOrTakeMs: (to - from) / 2,
        };
      });
    } catch (error) {
      return `the clock of the database is not known: ${problemOf(error)}`;
    }
  }

  return {
    /**
     * Logs the test account in, and looks at all that is configured. Changes nothing but that there is one more session of
     * the test account, so a retry is safe. Throws InvalidInput.
     */
    async examineAuthentication(place: Place): Promise<AuthExamination> {
      const config = authOf(place);
      const asked = { config, place, directory };
      return withProgress({ phase: 'log in', done: 0, total: 0, unit: 'statements' as const }, async () => {
        const [provider, configuration, login, database] = await Promise.all([
          examineProvider(asked),
          examineConfiguration(asked),
          examineLogin(asked),
          databaseClock(place),
        ]);
        return {
          checks: [
            ...provider,
            ...configuration,
            ...clockChecks(config, login.clock, database),
            ...login.checks,
          ],
          remedies: (['clearCache', 'redeploy'] as const).filter((name) => config[name] !== undefined),
          settleMs: config.settleSeconds * 1_000,
          unconfigured: unconfiguredOf(config),
        };
      });
    },

    /**
     * Empties what the application remembers of logins, or puts its configuration in place again. A retry does it again:
     * whoever configures it makes that harmless. Throws InvalidInput, StaleFencingToken, FenceBusy, WrongDatabase,
     * DatabaseUnreachable, CommandFailed, HttpFailed.
     */
    async mendAuthentication({
      remedy,
      ...input
    }: Place & { fence: Fence; remedy: AuthRemedy }): Promise<CommandResult> {
      const change: ChangeConfig | undefined = authOf(input)[remedy];
      if (change === undefined) throw fail('InvalidInput', `authentication.${remedy} is not configured.`);
      const action =
        remedy === 'clearCache' ? 'clear the cache of logins' : 'put the configuration in place again';
      return runFencedChange(deps, input, change, action);
    },
  };
}

/** Ours is the one that is wrong where the others agree with each other and not with it. */
export function clockChecks(
  { maxSkewSeconds }: Pick<AuthConfig, 'maxSkewSeconds'>,
  login: ClockReading | undefined,
  database: ClockReading | string,
): AuthCheck[] {
  const maxMs = maxSkewSeconds * 1_000;
  const clocks = [login, database].flatMap((one) => (typeof one === 'object' ? [one] : []));
  const unread = [
    ...(login === undefined ? ['the login answers without a Date'] : []),
    ...(typeof database === 'string' ? [database] : []),
  ];
  const isOff = ({ aheadMs, giveOrTakeMs }: ClockReading) => Math.abs(aheadMs) - giveOrTakeMs > maxMs;
  const off = clocks.filter(isOff);
  const said = [...clocks.map(clockText), ...unread].join('; ');
  if (off.length === 0)
    return [{ topic: 'clock', verdict: unread.length > 0 ? 'unknown' : 'ok', detail: said.slice(0, 500) }];
  const [first, second] = clocks;
  const ours = second !== undefined && off.length === 2 && Math.abs(first!.aheadMs - second.aheadMs) <= maxMs;
  const whose = ours ? 'the clock of this worker' : off.map((one) => `the clock of ${one.whose}`).join(', ');
  return [
    {
      topic: 'clock',
      verdict: 'failed',
      detail: `${whose} is off by more than ${maxSkewSeconds} s: ${said}`.slice(0, 500),
    },
  ];
}

function clockText({ whose, aheadMs, giveOrTakeMs }: ClockReading): string {
  const seconds = (Math.abs(aheadMs) / 1_000).toFixed(1);
  return `${whose} is ${seconds} s ${aheadMs < 0 ? 'behind' : 'ahead of'} ours, give or take ${(giveOrTakeMs / 1_000).toFixed(1)} s`;
}

function unconfiguredOf(config: AuthConfig): string[] {
  const missing = (name: string, what: string) => `authentication.${name} is not configured: ${what}`;
  const {
    provider,
    configuration,
    callbackUrls,
    credentials,
    access,
    jwks,
    secret,
    token,
    clearCache,
    redeploy,
  } = config;
  return [
    ...(provider === undefined
      ? [missing('provider', 'whether the provider says that it is in trouble, nobody looks')]
      : []),
    ...(configuration?.callbacks === undefined || callbackUrls.length === 0
      ? [
          missing(
            callbackUrls.length === 0 ? 'callbackUrls' : 'configuration.callbacks',
            'callback URLs are not compared',
          ),
        ]
      : []),
    ...(configuration?.credentials === undefined || credentials.length === 0
      ? [
          missing(
            credentials.length === 0 ? 'credentials' : 'configuration.credentials',
            'whether credentials are set, nobody looks',
          ),
        ]
      : []),
    ...(access === undefined
      ? [missing('access', 'whether the application takes a token, nobody tries')]
      : []),
    ...(token === 'jwt' && jwks === undefined && secret === undefined
      ? [missing('jwks', 'no signature is verified')]
      : []),
    ...(token === 'opaque' ? ['tokens are opaque: their expiry and their signature are not verified'] : []),
    ...(clearCache === undefined ? [missing('clearCache', 'what the application remembers stays')] : []),
    ...(redeploy === undefined ? [missing('redeploy', 'people put the configuration in place')] : []),
  ];
}
