import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** Thrown when `${env:NAME}` or `${file:PATH}` cannot be resolved. Names the reference, never a value. */
export class MissingSecret extends Error {
  constructor(reference: string, why: string) {
    super(
      `${reference} cannot be resolved: ${why}. Set it where this runs; a worker reads it when it starts.`,
    );
    this.name = 'MissingSecret';
  }
}

const seen = new Set<string>();

/**
 * Replaces every `${env:NAME}` and `${file:PATH}` (relative to `directory`) by its value.
 * What was resolved is remembered so that `scrub` can remove it from messages.
 */
export function resolveSecrets(text: string, directory: string): string {
  const resolved = text.replace(/\$\{(env|file):([^}]+)\}/g, (reference, kind: string, name: string) => {
    const value =
      kind === 'env' ? fromEnvironment(reference, name) : fromFile(reference, resolve(directory, name));
    remember(value);
    return value;
  });
  rememberUrlPassword(resolved);
  return resolved;
}

/** Removes secrets from a text that may end up in a history, log, report or message. */
export function scrub(text: string): string {
  let clean = text
    .replace(/(\w{1,32}:\/\/[^\s:@/]*:)[^\s@/]+@/g, '$1***@')
    .replace(/(password=)('[^']*'|\S+)/gi, '$1***');
  for (const secret of seen) clean = clean.replaceAll(secret, '***');
  return clean;
}

function fromEnvironment(reference: string, name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new MissingSecret(reference, 'the variable is not set');
  return value;
}

function fromFile(reference: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new MissingSecret(reference, (error as NodeJS.ErrnoException).code ?? 'unreadable');
  }
}

/** For `scrub`: a secret that was made here, and stands in no configuration. */
export function remember(value: string): void {
  // Short values ("5432", "true") are no secrets and would blank out half of every message.
  if (value.length >= 8) seen.add(value);
}

function rememberUrlPassword(text: string): void {
  const password = /^\w+:\/\/[^\s:@/]*:([^\s@/]+)@/.exec(text)?.[1];
  if (password === undefined) return;
  remember(password);
  remember(decoded(password));
}

/** As it stands where it cannot be decoded: who writes a URL by hand forgets to encode a `%`. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Gives this process the variables that `${env:NAME}` reads. For the embedded stack, which makes its own passwords. */
export function setEnvironment(variables: Record<string, string>): void {
  Object.assign(process.env, variables);
}
