import { ApplicationFailure } from '@temporalio/common';
import type { OperationConfig } from '../../../config/http-operation-schema';
import { MissingSecret, resolveSecrets } from '../../../config/secrets';
import { fail } from '../failure';
import { currentActivity } from '../heartbeat';
import { ask, isOk, jsonOf, requireOk, type HttpAnswer } from '../http';
import { said } from '../http-status';
import { mapTexts, shortened, valueAt, type Json } from '../json';
import { authenticate } from './authenticate';
import { awaitEnd } from './poll';
import { fillRequest, type Parameter } from './request';

export interface OperationCall {
  /** For messages: what is done to what, e.g. `run expire-bookings of booking/production`. */
  action: string;
  parameters: Record<string, Parameter>;
  /** Of the configuration, for its secrets. */
  directory: string;
  /** Ends it early; the cancellation of the activity does so anyhow. */
  signal?: AbortSignal;
}

/** What came of it. May go into a history: it is short, and has no secret in it. */
export interface OperationAnswer {
  status: number;
  /** The configured fields of the answer, by their names. */
  fields: Record<string, Json>;
  detail: string;
}

/**
 * Sends a configured request, follows what it only began, and judges the answer. Throws InvalidInput (a parameter, a
 * secret that is not set) and HttpFailed with the status among its details; neither names a secret. Tried again where
 * that may help: no answer, 408, 429 (not before the server wants it) and 5xx.
 */
export async function performOperation(
  config: OperationConfig,
  { action, parameters, directory, signal }: OperationCall,
): Promise<OperationAnswer> {
  const secrets: string[] = [];
  const clean = (text: string): string => hide(text, secrets);
  const ended = AbortSignal.any([currentActivity().signal, ...(signal === undefined ? [] : [signal])]);
  try {
    const resolve = (text: string): string => resolveSecrets(text, directory);
    const { url, headers, content } = fillRequest(config, { parameters, resolve });
    const { method, auth, timeoutMs } = config;
    const send = (to: URL, as: OperationConfig['method']): Promise<HttpAnswer> => {
      const body = as === method ? (content?.text ?? '') : '';
      const proof = authenticate(auth, { method: as, url: to, body }, resolve);
      secrets.push(...proof.secrets);
      return ask({
        url: to.href,
        method: as,
        headers: { accept: 'application/json', ...headers, ...proof.headers },
        ...(content === undefined || as !== method ? {} : { content }),
        timeoutMs,
        signal: ended,
      });
    };
    const first = await send(url, method);
    const last =
      first.status === 202 && config.poll !== undefined
        ? await awaitEnd(config.poll, first, (address) => send(address, 'GET'), ended)
        : first;
    const fields = judge(config, last);
    return {
      status: last.status,
      fields: mapTexts(fields, clean) as Record<string, Json>,
      detail: detailOf(last, fields, clean),
    };
  } catch (error) {
    throw renamed(error, action, clean);
  }
}

/** Throws where the answer is no success; else what was wanted of it. */
function judge({ success, fields }: OperationConfig, answer: HttpAnswer): Record<string, Json> {
  const { status, field, equals } = success;
  requireStatus(answer, status);
  if (field === undefined && Object.keys(fields).length === 0) return {};
  const json = jsonOf(answer);
  if (field !== undefined) {
    const found = need(json, field, 'success.field', answer);
    if (equals !== undefined && !equals.some((one) => one === found))
      throw refusal(answer, `${answer.host} says "${wordOf(found)}" at "${field}", which is no success`);
  }
  return Object.fromEntries(
    Object.entries(fields).map(([name, path]) => [
      name,
      shortened(need(json, path, `fields.${name}`, answer)),
    ]),
  );
}

function requireStatus(answer: HttpAnswer, wanted: number[] | undefined): void {
  if (wanted === undefined ? isOk(answer) : wanted.includes(answer.status)) return;
  requireOk(answer);
  throw refusal(answer, `${answer.host} ${said(answer)}, which success.status does not name`);
}

function need(json: Json, path: string, setting: string, answer: HttpAnswer): Json {
  const value = valueAt(json, path);
  if (value !== undefined) return value;
  throw refusal(
    answer,
    `the answer of ${answer.host} has no "${path}"; correct ${setting} in the configuration`,
  );
}

function refusal({ status }: HttpAnswer, text: string): ApplicationFailure {
  return fail('HttpFailed', `${text}.`, { details: { status } });
}

function wordOf(value: Json): string {
  return (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 100);
}

function detailOf(answer: HttpAnswer, fields: Record<string, Json>, clean: (text: string) => string): string {
  const accepted = answer.status === 202 ? ', so it has begun, and its end is not known' : '';
  const words = Object.entries(fields).map(([name, value]) => `${name} ${wordOf(value)}`);
  return clean([`answered ${answer.status}${accepted}`, ...words].join('; '));
}

/** Says what was being done, and nothing that is secret. */
function renamed(error: unknown, action: string, clean: (text: string) => string): unknown {
  if (error instanceof MissingSecret) return fail('InvalidInput', `Could not ${action}: ${error.message}`);
  if (!(error instanceof ApplicationFailure)) return error;
  const waitMs = Number(error.nextRetryDelay);
  return fail(error.type ?? 'HttpFailed', clean(`Could not ${action}: ${error.message}`), {
    retryable: error.nonRetryable !== true,
    nextTryMs: waitMs > 0 ? waitMs : undefined,
    details: error.details?.[0],
  });
}

/** Also short ones, and as they stand in an address. */
function hide(text: string, secrets: string[]): string {
  return [...new Set(secrets.flatMap((one) => [one, encodeURIComponent(one)]))]
    .filter((one) => one !== '')
    .sort((a, b) => b.length - a.length)
    .reduce((clean, secret) => clean.replaceAll(secret, '***'), text);
}
