import { createHash } from 'node:crypto';
import type { RequestConfig } from '../../../config/http-operation-schema';
import { fillPlaceholders, onlyPlaceholder } from '../../../config/placeholders';
import { fail } from '../failure';
import { currentActivity } from '../heartbeat';
import type { HttpRequest } from '../http';

export type Parameter = string | number | boolean;

/** What fills a request in, and gives its texts their secrets. */
export interface Filling {
  parameters: Record<string, Parameter>;
  resolve: (text: string) => string;
}

/** A request with everything filled in but who sends it. */
export interface FilledRequest {
  url: URL;
  headers: Record<string, string>;
  content?: NonNullable<HttpRequest['content']>;
}

/**
 * Fills a configured request in. What comes from a run, and so from an alert, is encoded for its place, names no secret
 * and leads to no other server or folder. Throws InvalidInput.
 */
export function fillRequest(config: RequestConfig, filling: Filling): FilledRequest {
  const { headers, idempotencyKey } = config;
  const content = contentOf(config, filling);
  return {
    url: addressOf(config, filling),
    headers: {
      ...mapValues(headers, (text) => filled(text, filling, inHeader)),
      ...(idempotencyKey === undefined ? {} : { [idempotencyKey]: keyOfStep() }),
    },
    ...(content === undefined ? {} : { content }),
  };
}

function addressOf({ url: text, query }: RequestConfig, filling: Filling): URL {
  const address = filled(text, filling, inPath);
  // Whatever is filled in, it goes where the configuration points.
  const server = originOf(filled(text, filling, () => 'x'));
  const url = server !== undefined && originOf(address) === server ? new URL(address) : undefined;
  if (url === undefined)
    throw fail('InvalidInput', 'its address is no http(s) URL, or its placeholders change the server.');
  for (const [name, value] of Object.entries(query))
    url.searchParams.append(name, filled(value, filling, String));
  return url;
}

function originOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { origin, protocol } = new URL(text);
  return /^https?:$/.test(protocol) ? origin : undefined;
}

function contentOf({ body, form }: RequestConfig, filling: Filling): FilledRequest['content'] {
  if (form !== undefined) {
    const fields = new URLSearchParams(mapValues(form, (text) => filled(text, filling, String)));
    return { type: 'application/x-www-form-urlencoded', text: fields.toString() };
  }
  if (body === undefined) return undefined;
  return { type: 'application/json; charset=utf-8', text: JSON.stringify(filledJson(body, filling)) };
}

function filledJson(value: unknown, filling: Filling): unknown {
  if (typeof value === 'string') {
    const only = onlyPlaceholder(value);
    return only === undefined ? filled(value, filling, String) : parameterOf(only, filling);
  }
  if (Array.isArray(value)) return value.map((item) => filledJson(item, filling));
  if (value === null || typeof value !== 'object') return value;
  return mapValues(value as Record<string, unknown>, (item) => filledJson(item, filling));
}

function filled(text: string, filling: Filling, encode: (value: Parameter) => string): string {
  return fillPlaceholders(text, filling.resolve, (name) => encode(parameterOf(name, filling)));
}

function parameterOf(name: string, { parameters }: Filling): Parameter {
  const value = parameters[name];
  if (value !== undefined) return value;
  throw fail('InvalidInput', `{${name}} is not known here; known: ${Object.keys(parameters).join(', ')}.`);
}

function inPath(value: Parameter): string {
  const text = String(value);
  // The only texts that an encoding leaves as they are and that lead elsewhere.
  if (!/^\.{0,2}$/.test(text)) return encodeURIComponent(text);
  throw fail('InvalidInput', `"${text}" cannot stand in an address.`);
}

function inHeader(value: Parameter): string {
  const text = String(value);
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  throw fail('InvalidInput', 'a header takes only printable ASCII characters.');
}

/** One for all attempts of a step, and another one for every other step. */
function keyOfStep(): string {
  const { workflowId, runId = '', activityId } = currentActivity();
  return createHash('sha256').update(`${workflowId}\n${runId}\n${activityId}`).digest('hex').slice(0, 32);
}

function mapValues<From, To>(record: Record<string, From>, change: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
