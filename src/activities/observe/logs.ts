import { createHash } from 'node:crypto';
import { environmentOf } from '../../config/load';
import type { LogsConfig } from '../../config/log-schema';
import type { CommandConfig } from '../../config/schema';
import { compilePattern } from '../../config/pattern';
import { targetOf, type Place } from '../../contract/place';
import { longestRunMs, readConfiguredCommand } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { parseLog, type LogEvent } from './log-events';
import { longestLokiMs, readLoki, type LogText } from './loki';
import { longestSentryMs, readSentry } from './sentry';

/** Events of one kind: the same message, whatever numbers are in it. */
export interface LogGroup {
  level: LogEvent['level'];
  message: string;
  count: number;
  /** The top of the newest stack trace; empty where there is none. */
  stack: string;
  /** Of the newest requests that had it, where the log says so. */
  requestIds?: string[];
}

/** What is in a log, as far as it goes into a history: bounded, and without secrets. */
export interface LogReview {
  errors: number;
  warnings: number;
  /** Most frequent first. */
  topErrors: LogGroup[];
  /** By the patterns of the configuration, in its order; warnings and errors. */
  watched: { name: string; count: number; top: LogGroup | null }[];
  /** There was more than is ever read. */
  cut: boolean;
}

/** The same, and how many errors are no news. */
export interface ErrorLog extends LogReview {
  permitted: number;
}

/** Kinds of errors, by their hashes, so that those can be told which came after. */
export interface KnownErrors {
  kinds: string[];
  /** There were more than these. */
  cut: boolean;
}

/** Errors of kinds that were not known. */
export interface NewErrors {
  /** Of whatever kind. */
  errors: number;
  kinds: number;
  /** Most frequent first. */
  top: LogGroup[];
  cut: boolean;
}

/** How long reading it can take. */
export function longestLogMs({ command, loki, sentry }: LogsConfig): number {
  if (sentry !== undefined) return longestSentryMs(sentry, TOP);
  return loki === undefined ? longestRunMs(command!) : longestLokiMs(loki);
}

const TOP = 5;
const REQUESTS = 3;
/** A history keeps them. */
const MAX_KINDS = 500;

type Span = Place & { since: string };

/** The log of an environment. */
export function createLogActivities(deps: ActivityDeps) {
  return {
    /** What was logged since a time, by kind. Reads only, so a retry is safe. Throws InvalidInput, CommandFailed, HttpFailed, LogRefused. */
    async readLogs(span: Span): Promise<LogReview> {
      const { events, cut, logs } = await eventsSince(span);
      return { ...review(events, logs), cut };
    },

    /** The same for those who go on without it: null where no log is configured. */
    async readErrorLog(span: Span): Promise<ErrorLog | null> {
      if (logsOf(span) === undefined) return null;
      const { events, cut, logs } = await eventsSince(span);
      return { ...review(events, logs), cut, permitted: logs.errors.warning };
    },

    /** Which kinds of errors were logged since a time; null where no log is configured. Reads only. Throws as `readLogs`. */
    async readErrorKinds(span: Span): Promise<KnownErrors | null> {
      if (logsOf(span) === undefined) return null;
      const { events, cut } = await eventsSince(span);
      const groups = grouped(events.filter(isError));
      return { kinds: groups.slice(0, MAX_KINDS).map(kindOf), cut: cut || groups.length > MAX_KINDS };
    },

    /** Errors since a time whose kind is none of the known ones. Reads only. Throws as `readLogs`. */
    async findNewErrors({ known, ...span }: Span & { known: string[] }): Promise<NewErrors> {
      const { events, cut } = await eventsSince(span);
      const errors = events.filter(isError);
      const found = grouped(errors).filter((group) => !known.includes(kindOf(group)));
      return { errors: countOf(errors), kinds: found.length, top: found.slice(0, TOP), cut };
    },
  };

  function logsOf({ service, environment }: Place): LogsConfig | undefined {
    return environmentOf(deps.config, service, environment).observe?.logs;
  }

  async function eventsSince(span: Span): Promise<{ events: LogEvent[]; cut: boolean; logs: LogsConfig }> {
    const logs = logsOf(span);
    if (logs === undefined)
      throw fail(
        'InvalidInput',
        `${targetOf(span)} has no log that could be read; add observe.logs to the configuration.`,
      );
    const call = {
      action: `read the log of ${targetOf(span)}`,
      since: span.since,
      directory: deps.config.directory,
    };
    if (logs.sentry !== undefined) {
      const { events, more } = await readSentry(logs.sentry, { ...call, traces: TOP });
      return { events, cut: more, logs };
    }
    const { text, more } =
      logs.loki === undefined ? await printed(logs.command!, span) : await readLoki(logs.loki, call);
    const { events, cut, json } = parseLog(text);
    if (json.lines > 0 && json.mute === json.lines)
      throw fail(
        'CommandFailed',
        `None of the ${json.lines} lines of JSON of the log of ${targetOf(span)} says its level, so nobody knows which are errors. Have it logged as "level", one of error, warn and info, or printed so by observe.logs.command.`,
      );
    return { events, cut: cut || more, logs };
  }

  async function printed(command: CommandConfig, { service, environment, since }: Span): Promise<LogText> {
    const text = await readConfiguredCommand(deps, command, {
      RUNBOOKS_SERVICE: service,
      RUNBOOKS_ENVIRONMENT: environment,
      RUNBOOKS_SINCE: since,
    });
    return { text, more: false };
  }
}

function review(events: LogEvent[], { watch }: LogsConfig): Omit<LogReview, 'cut'> {
  const errors = events.filter(isError);
  return {
    errors: countOf(errors),
    warnings: countOf(events) - countOf(errors),
    topErrors: grouped(errors).slice(0, TOP),
    watched: watch.map(({ name, pattern }) => {
      const compiled = compilePattern(`(?i)${pattern}`);
      const found = events.filter(({ message }) => compiled.matcher(message).find());
      return { name, count: countOf(found), top: grouped(found)[0] ?? null };
    }),
  };
}

function isError({ level }: LogEvent): boolean {
  return level === 'error';
}

function countOf(events: LogEvent[]): number {
  return events.reduce((sum, { count = 1 }) => sum + count, 0);
}

function kindOf({ message }: LogGroup): string {
  return createHash('sha256').update(message).digest('hex').slice(0, 12);
}

function grouped(events: LogEvent[]): LogGroup[] {
  const groups = new Map<string, LogGroup>();
  for (const { level, message, stack, count = 1, requestId } of events) {
    const key = `${level} ${message}`;
    const group = groups.get(key) ?? { level, message, count: 0, stack: '' };
    group.count += count;
    if (stack !== '') group.stack = stack;
    if (requestId !== undefined) group.requestIds = newestOf(group.requestIds ?? [], requestId);
    groups.set(key, group);
  }
  return [...groups.values()].sort((a, b) => b.count - a.count);
}

function newestOf(known: string[], id: string): string[] {
  return [...known.filter((one) => one !== id), id].slice(-REQUESTS);
}
