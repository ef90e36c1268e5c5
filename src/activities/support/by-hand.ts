import type { ChangeConfig } from '../../config/change-schema';
import type { OperationConfig } from '../../config/http-operation-schema';
import { fillPlaceholders, onlyPlaceholder } from '../../config/placeholders';
import { scrub } from '../../config/secrets';
import type { Place } from '../../contract/place';
import { mapTexts, type Json } from './json';

/**
 * The exact way for people to make a change themselves, as it stands in the configuration: what is secret in it is not
 * resolved, and left out where it stands there itself.
 */
export function byHand(
  { command, operation }: ChangeConfig,
  { service, environment }: Place,
  parameters: Record<string, string> = {},
): string {
  if (command === undefined) return scrub(requestText(operation!, { ...parameters, service, environment }));
  const variables = {
    ...Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name.toUpperCase(), value])),
    RUNBOOKS_SERVICE: service,
    RUNBOOKS_ENVIRONMENT: environment,
  };
  const set = Object.entries(variables).map(([name, value]) => `${name}=${quoted(value)}`);
  const folder = command.directory === '.' ? [] : ['cd', quoted(command.directory), '&&'];
  const line = [...folder, ...set, ...command.run.map(quoted)].join(' ');
  return scrub(`\`${line}\`${asConfigured(Object.keys(command.environment))}`);
}

/** As a shell reads it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function asConfigured(names: string[]): string {
  return names.length === 0 ? '' : ` (with ${names.join(', ')} as configured)`;
}

function requestText(
  { method, url, query, headers, auth, body, form }: OperationConfig,
  known: Record<string, string>,
): string {
  const fill = (text: string): string => fillPlaceholders(text, String, (name) => known[name] ?? `{${name}}`);
  const own = url.replace(OWN_QUERY, (_, start: string, name: string, value: string) =>
    [start, name, '=', shownAs(name, value)].join(''),
  );
  const asked = Object.entries(query).map(([name, value]) => `${name}=${fill(shownAs(name, value))}`);
  const address = [fill(own), ...asked].reduce((to, one) => `${to}${to.includes('?') ? '&' : '?'}${one}`);
  const sent = body ?? form;
  const content = sent === undefined ? '' : ` with ${JSON.stringify(mapTexts(discreet(sent) as Json, fill))}`;
  const proof = auth === undefined ? [] : [`${auth.kind} authentication`];
  return `${method} ${address}${content}${asConfigured([...Object.keys(headers), ...proof])}`;
}

const OWN_QUERY = /([?&])([^=&#]+)=([^&#]*)/g;
const SECRET_NAME =
  /(token|secret|passw(or)?d|passphrase|pwd|(api|access|private)[_-]?key|session[_-]?id|signature|authorization|cookie)$/i;
const REFERENCE = /\$\{(env|file):/;

/** A secret belongs into a reference, which may be shown; one that was written down itself may not. */
function shownAs(name: string, value: string): string {
  const isSecret = SECRET_NAME.test(name) && !REFERENCE.test(value) && onlyPlaceholder(value) === undefined;
  return isSecret ? '***' : value;
}

function discreet(value: unknown, name = ''): unknown {
  if (typeof value === 'string') return shownAs(name, value);
  if (Array.isArray(value)) return value.map((one) => discreet(one, name));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, discreet(one, key)]));
}
