import { environmentOf } from '../../config/load';
import type { LogsConfig } from '../../config/log-schema';
import { compilePattern } from '../../config/pattern';
import { targetOf, type Place } from '../../contract/place';
import { readConfiguredCommand } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { parseLog, type LogEvent } from './log-events';

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

const TOP = 5;

/** The log of an environment. */
export function createLogActivities(deps: ActivityDeps) {
  return {
    /** What was logged since a time, by kind. Reads only, so a retry is safe. Throws InvalidInput, CommandFailed. */
    async readLogs({ since, ...place }: Place & { since: string }): Promise<LogReview> {
      const { service, environment } = place;
      const logs = environmentOf(deps.config, service, environment).observe?.logs;
      if (logs === undefined)
        throw fail(
          'InvalidInput',
          `${targetOf(place)} has no log that could be read; add observe.logs to the configuration.`,
        );
      const printed = await readConfiguredCommand(deps, logs.command, {
        RUNBOOKS_SERVICE: service,
        RUNBOOKS_ENVIRONMENT: environment,
        RUNBOOKS_SINCE: since,
      });
      const { events, cut, json } = parseLog(printed);
      if (json.lines > 0 && json.mute === json.lines)
        throw fail(
          'CommandFailed',
          `None of the ${json.lines} lines of JSON of the log of ${targetOf(place)} says its level, so nobody knows which are errors. Have observe.logs.command print it as "level", one of error, warn and info.`,
        );
      return { ...review(events, logs), cut };
    },
  };
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
