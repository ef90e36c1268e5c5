import type { ApplicationFailure } from '@temporalio/common';
import type { OperationConfig } from '../../../config/http-operation-schema';
import { fail } from '../failure';
import { isOk, jsonOf, requireOk, type HttpAnswer } from '../http';
import { said } from '../http-status';
import { mapTexts, shortened, valueAt, type Json } from '../json';
import { exchange, type OperationCall } from './exchange';

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
export function performOperation(config: OperationConfig, call: OperationCall): Promise<OperationAnswer> {
  return exchange(config, call, (answer, clean) => {
    const found = judge(config, answer);
    return {
      status: answer.status,
      fields: mapTexts(found, clean) as Record<string, Json>,
      detail: clean(detailOf(answer, found)),
    };
  });
}

/** The JSON of an answer as a whole, for who reads more of it than fields. Throws HttpFailed where it is no success. */
export function readWhole({ success }: Pick<OperationConfig, 'success'>, answer: HttpAnswer): Json {
  requireSuccess(success, answer);
  return jsonOf(answer);
}

/** Throws where the answer is no success; else what was wanted of it. */
function judge({ success, fields }: OperationConfig, answer: HttpAnswer): Record<string, Json> {
  requireSuccess(success, answer);
  if (Object.keys(fields).length === 0) return {};
  const json = jsonOf(answer);
  return Object.fromEntries(
    Object.entries(fields).map(([name, path]) => [
      name,
      shortened(need(json, path, `fields.${name}`, answer)),
    ]),
  );
}

function requireSuccess({ status, field, equals }: OperationConfig['success'], answer: HttpAnswer): void {
  requireStatus(answer, status);
  if (field === undefined) return;
  const found = need(jsonOf(answer), field, 'success.field', answer);
  if (equals !== undefined && !equals.some((one) => one === found))
    throw refusal(answer, `${answer.host} says "${wordOf(found)}" at "${field}", which is no success`);
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

function detailOf(answer: HttpAnswer, fields: Record<string, Json>): string {
  const accepted = answer.status === 202 ? ', so it has begun, and its end is not known' : '';
  const words = Object.entries(fields).map(([name, value]) => `${name} ${wordOf(value)}`);
  return [`answered ${answer.status}${accepted}`, ...words].join('; ');
}
