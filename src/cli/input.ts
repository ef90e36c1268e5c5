import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { environmentOf, serviceOf, type LoadedConfig } from '../config/load';
import type { Card } from '../catalogue/card';
import { CliError, EXIT } from './errors';
import { flagOf, type Field } from '../catalogue/input-fields';
import { describeInput } from '../catalogue/input-problems';
import { shown } from '../config/problem-text';

/** Reads --input: JSON, `@file`, or `-` for standard input. Throws CliError (usage). */
export function readInput(given: string | undefined): Record<string, unknown> {
  if (given === undefined) return {};
  const text =
    given === '-'
      ? readSource(0, 'standard input')
      : given.startsWith('@')
        ? readSource(given.slice(1), given.slice(1))
        : given;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CliError(EXIT.usage, `--input is not JSON: ${(error as Error).message}. Nothing was started.`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new CliError(
      EXIT.usage,
      `--input must be a JSON object, got ${shown(value)}. Nothing was started.`,
    );
  }
  return value as Record<string, unknown>;
}

function readSource(source: string | 0, name: string): string {
  try {
    return readFileSync(source === 0 ? source : resolve(source), 'utf8');
  } catch (error) {
    throw new CliError(
      EXIT.usage,
      `--input: ${name} cannot be read: ${(error as Error).message}. Nothing was started.`,
    );
  }
}

/** What the command line gives for a flag: several words for a list, none for a yes. */
export type FlagValue = string | boolean | string[];

/** Turns what was given for a flag into the field's type. A list may have commas too. Throws CliError (usage). */
export function parseFlag(field: Field, given: FlagValue): unknown {
  if (typeof given === 'boolean') return given;
  if (Array.isArray(given)) return given.flatMap((text) => parseFlag(field, text));
  const text = given;
  const wrong = () =>
    new CliError(
      EXIT.usage,
      `${flagOf(field.name)}: wanted ${field.type}, got ${shown(text)}. Nothing was started.`,
    );
  if (field.kind === 'number') {
    const value = Number(text);
    if (text.trim() === '' || Number.isNaN(value)) throw wrong();
    return value;
  }
  if (field.kind === 'boolean') {
    if (['true', 'yes'].includes(text)) return true;
    if (['false', 'no'].includes(text)) return false;
    throw wrong();
  }
  if (field.kind === 'list')
    return text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  if (field.kind === 'json') {
    try {
      return JSON.parse(text);
    } catch {
      throw wrong();
    }
  }
  return text;
}

/**
 * Checks an input against the card, and its names against the configuration where there is one. Returns it as given:
 * defaults are the worker's. Throws CliError (usage) that names every field, what it got, and what was wanted.
 */
export function checkInput(
  card: Card,
  input: Record<string, unknown>,
  config: LoadedConfig | undefined,
): Record<string, unknown> {
  const parsed = card.input.safeParse(input);
  if (!parsed.success) {
    const problems = describeInput(card, parsed.error.issues, input);
    throw new CliError(
      EXIT.usage,
      `The input of ${card.name} is not right; nothing was started.\n${problems.map((one) => `  ${one}`).join('\n')}\n\`runbooks describe ${card.name}\` shows every field and an example.`,
    );
  }
  const { service, environment } = parsed.data as { service: string; environment?: string };
  if (config !== undefined) {
    serviceOf(config, service);
    if (environment !== undefined) environmentOf(config, service, environment);
  }
  return input;
}
