import { serviceOf } from '../../config/load';
import { targetOf, type Fence, type Place } from '../../contract/place';
import { runFencedChange } from '../postgres/session/fenced-change';
import { readConfiguredCommand } from '../support/configured-command';
import { byHand } from '../support/by-hand';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { problemOf } from '../support/http';
import { performOperation } from '../support/operation/perform';
import { readBreachScope, type BreachScope, type ScopeInput } from './breach-scope';
import { containmentOf, type IsolationConfig } from './containment-settings';
import { hushed, statusOf } from './hushed';
import { preserveLogs, type PreservedLogs } from './preserve-logs';
import { secretOf } from './settings';

/** One isolation, of one address or actor or of everything. */
export interface Isolation {
  name: string;
  /** Empty where it is for everybody. */
  who: string;
  does: string;
  reversible: boolean;
  /** A person is asked first. */
  asks: boolean;
  probed: boolean;
  /** How long the application may take to notice it. */
  settleMs: number;
  /** The exact way to end it, for people. */
  howToEnd: string;
}

export interface Containment {
  /** Index in the ladder. */
  rung: number;
  rungName: string | null;
  preserves: boolean;
  audited: boolean;
  isolations: Isolation[];
  authoritiesMs: number;
  usersMs: number;
  remindMs: number;
  unconfigured: string[];
}

export interface ContainmentInput {
  isolate?: string[];
  addresses: string[];
  actors: string[];
  secrets?: string[];
}

export interface IsolationRef extends Place {
  name: string;
  who: string;
}

/** Isolated, not, or nobody knows. */
export interface IsolationProbe {
  isolated: boolean | null;
  detail: string;
}

const ISOLATED = [401, 403, 429, 503];

/** What contains a security incident. What commands print is not quoted: it may be a token that was revoked. */
export function createContainmentActivities(deps: ActivityDeps) {
  function isolationOf({ name, ...place }: IsolationRef): IsolationConfig {
    const { isolations } = containmentOf(deps, place);
    const found = Object.hasOwn(isolations, name) ? isolations[name] : undefined;
    if (found !== undefined) return found;
    const known = Object.keys(isolations).join(', ') || 'none';
    throw fail('InvalidInput', `${targetOf(place)} has no isolation "${name}"; known: ${known}.`);
  }

  async function change(
    ref: IsolationRef & { fence: Fence },
    what: 'apply' | 'end',
  ): Promise<{ detail: string }> {
    const { name, who, fence, ...place } = ref;
    const config = isolationOf(ref)[what];
    if (config === undefined)
      throw fail(
        'InvalidInput',
        `security.isolations.${name}.${what} is not configured for ${targetOf(place)}.`,
      );
    const action = `${what === 'apply' ? 'isolate by' : 'end'} ${titleOf(name, who)}`;
    await hushed(`${action} on ${targetOf(place)}`, () =>
      runFencedChange(deps, { ...place, fence }, config, action, { who }),
    );
    return { detail: `${action}: done` };
  }

  return {
    /**
     * What the configuration has for the parts of a containment. Reads only the configuration. Throws InvalidInput, also
     * where it has no secret of that name: it is too late to learn that when everything else is done.
     */
    async readContainment({
      isolate,
      addresses,
      actors,
      secrets = [],
      ...place
    }: Place & ContainmentInput): Promise<Containment> {
      for (const secret of secrets) secretOf(deps, { ...place, secret });
      const config = containmentOf(deps, place);
      const { escalation } = serviceOf(deps.config, place.service);
      const rung = config.rung === undefined ? -1 : escalation.findIndex(({ name }) => name === config.rung);
      const names = [...new Set(isolate ?? Object.keys(config.isolations))];
      const of = { address: [...new Set(addresses)], actor: [...new Set(actors)] };
      const isolations = names.flatMap((name) => {
        const one = isolationOf({ ...place, name, who: '' });
        return (one.per === undefined ? [''] : of[one.per]).map((who) =>
          describe({ ...place, name, who }, one),
        );
      });
      const missing = (name: string, what: string) => `security.${name} is not configured: ${what}`;
      return {
        rung: Math.max(0, rung),
        rungName: rung < 0 ? null : config.rung!,
        preserves: config.preserveLogs !== undefined,
        audited: config.audit !== undefined,
        // Nobody waits for an answer before what needs none.
        isolations: isolations.sort((a, b) => Number(a.asks) - Number(b.asks)),
        authoritiesMs: config.notifyHours.authorities * 3_600_000,
        usersMs: config.notifyHours.users * 3_600_000,
        remindMs: config.remindHours * 3_600_000,
        unconfigured: [
          ...(config.preserveLogs === undefined
            ? [missing('preserveLogs', 'a person preserves the logs, before anything else is done')]
            : []),
          ...(rung < 0
            ? [
                config.rung === undefined
                  ? missing('rung', 'the first of the ladder is called')
                  : `the ladder has no "${config.rung}": the first of it is called`,
              ]
            : []),
          ...(names.length === 0 ? [missing('isolations', 'isolating is a task for a person')] : []),
          ...names.flatMap((name) => {
            const per = config.isolations[name]?.per;
            return per === undefined || of[per].length > 0
              ? []
              : [`${name} isolates nothing: it is for each ${per}, and the input names none`];
          }),
          ...(config.audit === undefined ? [missing('audit', 'how far it went is a task for a person')] : []),
          ...names
            .filter((name) => config.isolations[name]?.probe === undefined)
            .map((name) => missing(`isolations.${name}.probe`, 'nothing verifies that it isolates')),
        ],
      };
    },

    /** Puts the logs aside. A retry does it once more. Throws CommandFailed, LogsNotPreserved. */
    async preserveLogs(input: Place & { incident: string }): Promise<PreservedLogs> {
      return preserveLogs(deps, input);
    },

    /** Isolates. A retry does it again. Throws InvalidInput, StaleFencingToken, FenceBusy, CommandFailed, HttpFailed. */
    async applyIsolation(input: IsolationRef & { fence: Fence }): Promise<{ detail: string }> {
      return change(input, 'apply');
    },

    /** Ends it; harmless where it is not. Throws as `applyIsolation`. */
    async endIsolation(input: IsolationRef & { fence: Fence }): Promise<{ detail: string }> {
      return change(input, 'end');
    },

    /** Whether it isolates; null where nobody can say. Changes nothing. Throws InvalidInput. */
    async probeIsolation(ref: IsolationRef): Promise<IsolationProbe> {
      const { name, who, ...place } = ref;
      const { probe } = isolationOf(ref);
      if (probe === undefined) return { isolated: null, detail: 'not verified: no probe is configured' };
      const action = `probe ${titleOf(name, who)} on ${targetOf(place)}`;
      try {
        if (probe.command !== undefined) {
          const command = probe.command;
          const variables = {
            RUNBOOKS_SERVICE: place.service,
            RUNBOOKS_ENVIRONMENT: place.environment,
            WHO: who,
          };
          const printed = await hushed(action, () => readConfiguredCommand(deps, command, variables));
          return wordOf(printed.trimEnd().split('\n').at(-1)?.trim());
        }
        const parameters = { service: place.service, environment: place.environment, who };
        await hushed(action, () =>
          performOperation(probe.operation!, { action, parameters, directory: deps.config.directory }),
        );
        return wordOf('open');
      } catch (error) {
        const status = statusOf(error);
        if (probe.operation !== undefined && status !== undefined && ISOLATED.includes(status))
          return wordOf('isolated');
        return { isolated: null, detail: `not known: ${problemOf(error)}` };
      }
    },

    /** How far it went, in counts; null where no audit log is configured. Reads only. Throws MappingInvalid, DatabaseUnreachable. */
    async readBreachScope(input: ScopeInput): Promise<BreachScope | null> {
      return readBreachScope(deps, input);
    },
  };
}

function wordOf(word: string | undefined): IsolationProbe {
  if (word === 'isolated' || word === 'open') return { isolated: word === 'isolated', detail: word };
  return { isolated: null, detail: 'not known: the probe printed neither "isolated" nor "open"' };
}

function titleOf(name: string, who: string): string {
  return who === '' ? name : `${name} ${who}`;
}

function describe(
  { name, who, ...place }: IsolationRef,
  { does, asks, end, probe, settleSeconds }: IsolationConfig,
): Isolation {
  return {
    name,
    who,
    does,
    reversible: end !== undefined,
    asks: asks || end === undefined,
    probed: probe !== undefined,
    settleMs: settleSeconds * 1_000,
    howToEnd: end === undefined ? 'it cannot be taken back' : byHand(end, place, who === '' ? {} : { who }),
  };
}
