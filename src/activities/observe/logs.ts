import { environmentOf } from '../../config/load';
import type { LogsConfig } from '../../config/log-schema';
import { compilePattern } from '../../config/pattern';
import { targetOf, type Place } from '../../contract/place';
import { longestRunMs, readConfiguredCommand } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { parseLog, type LogEvent } from './log-events';
import { longestLokiMs, readLoki, type LogText } from './loki';

/** Events of one kind: the same message, whatever numbers are in it. */
export interface LogGroup {
  level: LogEvent['level'];
  message: string;
  count: number;
  /** The top of the newest stack trace; empty where there is none. */
  stack: string;
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

/** How long reading it can take. */
export function longestLogMs({ command, loki }: LogsConfig): number {
  return loki === undefined ? longestRunMs(command!) : longestLokiMs(loki);
}

const TOP = 5;

/** The log of an environment. */
export function createLogActivities(deps: ActivityDeps) {
  return {
    /** What was logged since a time, by kind. Reads only, so a retry is safe. Throws InvalidInput, CommandFailed, HttpFailed. */
    async readLogs({ since, ...place }: Place & { since: string }): Promise<LogReview> {
      const { service, environment } = place;
      const logs = environmentOf(deps.config, service, environment).observe?.logs;
      if (logs === undefined)
        throw fail(
          'InvalidInput',
          `${targetOf(place)} has no log that could be read; add observe.logs to the configuration.`,
        );
      const { text, more } = await read(logs, { since, ...place });
      const { events, cut, json } = parseLog(text);
      if (json.lines > 0 && json.mute === json.lines)
        throw fail(
          'CommandFailed',
          `None of the ${json.lines} lines of JSON of the log of ${targetOf(place)} says its level, so nobody knows which are errors. Have it logged as "level", one of error, warn and info, or printed so by observe.logs.command.`,
        );
      return { ...review(events, logs), cut: cut || more };
    },
  };

  async function read({ command, loki }: LogsConfig, at: Place & { since: string }): Promise<LogText> {
    const { service, environment, since } = at;
    if (loki !== undefined)
      return readLoki(loki, {
        action: `read the log of ${targetOf(at)}`,
        since,
        directory: deps.config.directory,
      });
    const text = await readConfiguredCommand(deps, command!, {
      RUNBOOKS_SERVICE: service,
      RUNBOOKS_ENVIRONMENT: environment,
      RUNBOOKS_SINCE: since,
    });
    return { text, more: false };
  }
}

function review(events: LogEvent[], { watch }: LogsConfig): Omit<LogReview, 'cut'> {
  const errors = events.filter(({ level }) => level === 'error');
  return {
    errors: errors.length,
    warnings: events.length - errors.length,
    topErrors: grouped(errors).slice(0, TOP),
    watched: watch.map(({ name, pattern }) => {
      const compiled = compilePattern(`(?i)${pattern}`);
      const found = events.filter(({ message }) => compiled.matcher(message).find());
      return { name, count: found.length, top: grouped(found)[0] ?? null };
    }),
  };
}

function grouped(events: LogEvent[]): LogGroup[] {
  const groups = new Map<string, LogGroup>();
  for (const { level, message, stack } of events) {
    const key = `${level} ${message}`;
    const group = groups.get(key) ?? { level, message, count: 0, stack: '' };
    group.count += 1;
    if (stack !== '') group.stack = stack;
    groups.set(key, group);
  }
  return [...groups.values()].sort((a, b) => b.count - a.count);
}
