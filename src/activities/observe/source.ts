import { ApplicationFailure } from '@temporalio/common';
import { environmentOf } from '../../config/load';
import type { SourceConfig } from '../../config/source-schema';
import { databaseIn, type Place } from '../../contract/place';
import { duration } from '../../contract/text';
import { readConfiguredCommand } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { isHttpFailure, problemOf } from '../support/http';
import type { Json } from '../support/json';
import { performOperation } from '../support/operation/perform';
import type { Parameter } from '../support/operation/request';
import { withClient } from '../postgres/session/connection';
import { scrub } from '../../config/secrets';
import { FUTURE_MS } from './last-run';
import { readPrometheus } from './prometheus';
import { timeOf, unknown, type Reading } from './reading';

export interface SourceCall {
  /** For messages, e.g. `measure queue-delay of booking/production`. */
  action: string;
  /** What requests and commands may need, e.g. which job; commands get them in capitals. */
  parameters?: Record<string, Parameter>;
  /** Whether a boolean is a value, as `true` or `false`: of a number it is none. */
  yesOrNo?: boolean;
}

const STATEMENT_TIMEOUT_MS = 20_000;

/**
 * Reads one value, wherever the configuration says it is. Reads only. What cannot be read is a fact that says why, and
 * never a value; only a cancellation is thrown.
 */
export async function readSource(
  deps: ActivityDeps,
  place: Place,
  source: SourceConfig,
  call: SourceCall,
): Promise<Reading> {
  try {
    return notTooOld(await readAny(deps, place, source, call), source.maxAgeSeconds);
  } catch (error) {
    const lasting = error instanceof ApplicationFailure && error.nonRetryable === true;
    return unknown(isHttpFailure(error) ? 'unreachable' : 'failed', problemOf(error), lasting);
  }
}

async function readAny(
  deps: ActivityDeps,
  place: Place,
  source: SourceConfig,
  { action, parameters = {}, yesOrNo }: SourceCall,
): Promise<Reading> {
  const { directory } = deps.config;
  const { prometheus, operation, sql, command, maxAgeSeconds } = source;
  if (prometheus !== undefined) {
    const server = environmentOf(deps.config, place.service, place.environment).observe?.prometheus;
    if (server === undefined) return unknown('not-configured', 'no observe.prometheus is configured');
    return readPrometheus(prometheus, { server, maxAgeSeconds, directory });
  }
  const known = { service: place.service, environment: place.environment, ...parameters };
  if (operation !== undefined) {
    const { field, at, ...request } = operation;
    const fields = { value: field, ...(at === undefined ? {} : { at }) };
    const answer = await performOperation({ ...request, fields }, { action, parameters: known, directory });
    return readingOf(answer.fields['value'], answer.fields['at'], { name: `"${field}"`, yesOrNo });
  }
  if (sql !== undefined) return readStatement(deps, place, sql, { action, yesOrNo });
  if (command === undefined) return unknown('not-configured', 'no source is configured');
  const printed = await readConfiguredCommand(deps, command, variablesOf(known));
  const line = printed.trimEnd().split('\n').at(-1) ?? '';
  if (line.trim() === '') return unknown('no-data', `\`${command.run.join(' ')}\` printed nothing`);
  return { known: true, value: scrub(line.trim()).slice(0, 200) };
}

async function readStatement(
  deps: ActivityDeps,
  place: Place,
  sql: string,
  { action, yesOrNo }: Pick<SourceCall, 'action'> & AsWords,
): Promise<Reading> {
  const options = { action, identity: true, readOnly: true, statementTimeoutMs: STATEMENT_TIMEOUT_MS };
  const { rows, fields } = await withClient(
    deps,
    databaseIn(place),
    (client) =>
      // One statement only: a second one could end the read-only transaction.
      client.query<Record<string, unknown>>({ text: sql, queryMode: 'extended' } as { text: string }),
    options,
  );
  if (rows.length === 0) return unknown('no-data', 'the statement returns no row');
  if (rows.length > 1) return unknown('several', `the statement returns ${rows.length} rows instead of one`);
  const names = fields.map(({ name }) => name);
  const [value, ...others] = names.filter((name) => name !== 'at' || names.length === 1);
  if (value === undefined || others.length > 0)
    return unknown('several', `the statement returns the columns ${names.join(', ')} instead of one`);
  const at = names.length > 1 ? plain(rows[0]!['at']) : undefined;
  return readingOf(plain(rows[0]![value]), at, { name: value, yesOrNo });
}

function plain(value: unknown): Json {
  return value instanceof Date ? value.toISOString() : (value as Json);
}

interface AsWords {
  yesOrNo: boolean | undefined;
}

function readingOf(
  found: Json | undefined,
  at: Json | undefined,
  { name, yesOrNo = false }: { name: string } & AsWords,
): Reading {
  const value = yesOrNo && typeof found === 'boolean' ? String(found) : found;
  if (value === undefined || value === null) return unknown('no-data', `${name} has no value`);
  if (typeof value !== 'number' && typeof value !== 'string')
    return unknown('not-a-number', `${name} is ${Array.isArray(value) ? 'a list' : typeof value}`);
  if (at === undefined) return { known: true, value };
  const atMs = typeof at === 'number' || typeof at === 'string' ? timeOf(at) : undefined;
  return atMs === undefined
    ? unknown('old', `${name} is of an unknown time: ${JSON.stringify(at)?.slice(0, 100)}`)
    : { known: true, value, atMs };
}

function notTooOld(reading: Reading, maxAgeSeconds: number): Reading {
  if (!reading.known || reading.atMs === undefined) return reading;
  const ageMs = Date.now() - reading.atMs;
  if (ageMs < -FUTURE_MS)
    return unknown(
      'old',
      `it is of a time to come, ${new Date(reading.atMs).toISOString()}: nobody knows how old it is. Set the clocks, or correct the source`,
    );
  if (ageMs <= maxAgeSeconds * 1_000) return reading;
  return unknown('old', `it is ${duration(ageMs)} old, older than ${duration(maxAgeSeconds * 1_000)}`);
}

/** `lastRun` is LAST_RUN in the environment of a command; where it runs has the names that every command has. */
function variablesOf({ service, environment, ...more }: Record<string, Parameter>): Record<string, string> {
  const named = Object.entries(more).map(([name, value]) => [
    name.replace(/([A-Z])/g, '_$1').toUpperCase(),
    String(value),
  ]);
  return {
    RUNBOOKS_SERVICE: String(service),
    RUNBOOKS_ENVIRONMENT: String(environment),
    ...(Object.fromEntries(named) as Record<string, string>),
  };
}
