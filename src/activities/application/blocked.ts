import { BlockList, isIP } from 'node:net';
import { environmentOf } from '../../config/load';
import type { ApplicationConfig } from '../../config/operation-schema';
import type { RateLimitingConfig } from '../../config/rate-limit-schema';
import { targetOf, type Fence, type Place } from '../../contract/place';
import { ONE_CALLER } from '../../contract/rate-limits';
import { scrub } from '../../config/secrets';
import { numberOf } from '../observe/reading';
import { readSource } from '../observe/source';
import { runFencedChange } from '../postgres/session/fenced-change';
import type { CommandResult } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { numberAt, valueAt, type Json } from '../support/json';
import { exchange } from '../support/operation/exchange';
import { readWhole } from '../support/operation/perform';
import { createRateLimitActivities, type RateLimitFacts } from './rate-limits';

/** One whom the limits have refused lately. */
export interface Blocked {
  who: string;
  refused: number;
  /** An address of ours or of a partner, as configured. */
  trusted: boolean;
  /** The application knows it as a customer; null where it does not say. */
  known: boolean | null;
}

export interface LimitFacts extends RateLimitFacts {
  /** Most refused first; at most 20 of them, and those that were asked about. */
  blocked: Blocked[];
  /** Requests refused, of everybody who was listed. */
  refusedRequests: number;
  blockedDetail: string;
  /** Null: nobody says. */
  store: { keys: number; tooMany: boolean } | null;
  storeDetail: string;
  /** Names of exceptions that can be made for one of them. */
  exceptions: string[];
  exceptionMs: number;
  /** Null where limits cannot be raised. */
  raiseMs: number | null;
  settleMs: number;
  unconfigured: string[];
}

/** An exception of the configuration, for one. */
export interface ExceptionRef extends Place {
  exception: string;
  who: string;
}

const MAX_BLOCKED = 20;
const MAX_WHO = 100;

/** Whom the limits of an application refuse, and exceptions for single ones. */
export function createBlockedActivities(deps: ActivityDeps) {
  const { readRateLimits } = createRateLimitActivities(deps);
  const applicationOf = ({ service, environment }: Place) =>
    environmentOf(deps.config, service, environment).application;

  async function readBlocked(
    config: NonNullable<RateLimitingConfig['blocked']>,
    place: Place,
    trusted: BlockList,
  ): Promise<Blocked[]> {
    const action = `read whom the limits of ${targetOf(place)} refuse`;
    return exchange(
      config,
      { action, parameters: { ...place }, directory: deps.config.directory },
      (answer) => {
        const list = valueAt(readWhole(config, answer), config.list);
        if (!Array.isArray(list))
          throw fail(
            'HttpFailed',
            `its answer has no list at "${config.list}"; correct rateLimits.blocked.list in the configuration.`,
          );
        return list.map((item) => blockedOf(item, config.item, trusted));
      },
    );
  }

  async function change(
    { fence, exception, who, ...place }: ExceptionRef & { fence: Fence },
    to: 'set' | 'unset',
    parameters: Record<string, string> = {},
  ): Promise<CommandResult> {
    const exceptions = applicationOf(place)?.rateLimits?.exceptions ?? {};
    const config = exceptions[exception];
    if (config === undefined)
      throw fail(
        'InvalidInput',
        `${targetOf(place)} has no exception "${exception}"; known: ${Object.keys(exceptions).join(', ') || 'none'}.`,
      );
    if (!ONE_CALLER.test(who))
      throw fail('InvalidInput', `"${who.slice(0, 100)}" is no single address or user.`);
    return runFencedChange(deps, { ...place, fence }, config[to], `${to} ${exception} for ${who}`, {
      who,
      ...parameters,
    });
  }

  return {
    /**
     * How many requests are refused, and whose; those of `about` are among them however few theirs are. Reads only, so a
     * retry is safe. Throws InvalidInput, and HttpFailed where it cannot be read whose.
     */
    async readLimits({ about = [], ...place }: Place & { about?: string[] }): Promise<LimitFacts> {
      const application = applicationOf(place);
      const limits = application?.rateLimits;
      const trusted = networksOf(limits?.trusted ?? []);
      const [rates, listed, store] = await Promise.all([
        readRateLimits(place),
        limits?.blocked === undefined ? [] : readBlocked(limits.blocked, place, trusted),
        readStore(limits?.store, place),
      ]);
      const blocked = listed.filter(({ refused }) => refused > 0).sort((a, b) => b.refused - a.refused);
      const raise = application?.raiseRateLimits;
      return {
        ...rates,
        blocked: blocked.filter(({ who }, rank) => rank < MAX_BLOCKED || about.includes(who)),
        refusedRequests: blocked.reduce((sum, { refused }) => sum + refused, 0),
        blockedDetail:
          limits?.blocked === undefined ? 'not looked at: none is configured' : blockedText(blocked),
        ...store,
        exceptions: Object.keys(limits?.exceptions ?? {}),
        exceptionMs: (limits?.minutes ?? 60) * 60_000,
        raiseMs: raise === undefined ? null : raise.minutes * 60_000,
        settleMs: (limits?.settleSeconds ?? 60) * 1_000,
        unconfigured: unconfiguredOf(application, limits),
      };
    },

    /** Exempts one until then. A retry does it again. Throws InvalidInput, StaleFencingToken, FenceBusy, CommandFailed, HttpFailed. */
    async setException({
      until,
      ...input
    }: ExceptionRef & { until: string; fence: Fence }): Promise<CommandResult> {
      return change(input, 'set', { until });
    },

    /** Ends it; harmless where there is none. Throws as `setException`. */
    async unsetException(input: ExceptionRef & { fence: Fence }): Promise<CommandResult> {
      return change(input, 'unset');
    },
  };

  async function readStore(
    store: RateLimitingConfig['store'],
    place: Place,
  ): Promise<Pick<LimitFacts, 'store' | 'storeDetail'>> {
    if (store === undefined) return { store: null, storeDetail: 'not looked at: none is configured' };
    const { max, ...source } = store;
    const action = `read the size of the limiter's store of ${targetOf(place)}`;
    const reading = await readSource(deps, place, source, { action });
    const keys = reading.known ? numberOf(reading.value) : undefined;
    if (keys === undefined)
      return { store: null, storeDetail: reading.known ? 'it is no number' : reading.detail };
    return { store: { keys, tooMany: keys > max }, storeDetail: `${keys} keys; ${max} at most` };
  }
}

function blockedOf(
  item: Json,
  paths: NonNullable<RateLimitingConfig['blocked']>['item'],
  trusted: BlockList,
): Blocked {
  const who = valueAt(item, paths.who);
  const refused = numberAt(item, paths.refused);
  if ((typeof who !== 'string' && typeof who !== 'number') || refused === null)
    throw fail(
      'HttpFailed',
      `one of those that are refused has no "${paths.who}", or no number at "${paths.refused}"; correct rateLimits.blocked.item in the configuration.`,
    );
  // One longer than a caller may be stays too long for an exception: its beginning may be somebody else.
  const name = scrub(String(who)).slice(0, MAX_WHO + 1);
  const version = isIP(name);
  const known = paths.known === undefined ? undefined : valueAt(item, paths.known);
  return {
    who: name,
    refused,
    trusted: version !== 0 && ONE_CALLER.test(name) && trusted.check(name, version === 4 ? 'ipv4' : 'ipv6'),
    known: typeof known === 'boolean' ? known : null,
  };
}

function networksOf(texts: string[]): BlockList {
  const list = new BlockList();
  for (const text of texts) {
    const [address = '', bits] = text.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

const MAX_NAMED = 5;

function blockedText(blocked: Blocked[]): string {
  if (blocked.length === 0) return 'nobody is refused';
  const named = blocked.slice(0, MAX_NAMED).map(whoText);
  const more = blocked.length > MAX_NAMED ? ` and ${blocked.length - MAX_NAMED} more` : '';
  return `${named.join(', ')}${more}`;
}

function whoText({ who, refused, trusted, known }: Blocked): string {
  const as = trusted ? ', trusted' : known === true ? ', a customer' : known === false ? ', unknown' : '';
  return `${who} (${refused} refused${as})`;
}

function unconfiguredOf(
  application: ApplicationConfig | undefined,
  limits: RateLimitingConfig | undefined,
): string[] {
  const missing = (name: string, what: string) => `application.${name} is not configured: ${what}`;
  return [
    ...(application?.rateLimitStatus?.limit === undefined
      ? [missing('rateLimitStatus.limit', 'what the limit is, nobody says')]
      : []),
    ...(limits?.blocked === undefined
      ? [missing('rateLimits.blocked', 'who is refused, nobody says, nor whether an exception helps')]
      : []),
    ...(Object.keys(limits?.exceptions ?? {}).length === 0
      ? [missing('rateLimits.exceptions', 'nobody can be exempted alone')]
      : []),
    ...(limits?.store === undefined
      ? [missing('rateLimits.store', "the size of the limiter's store is not looked at")]
      : []),
    ...(application?.raiseRateLimits === undefined
      ? [missing('raiseRateLimits', 'the limits of all cannot be raised')]
      : []),
  ];
}
