import type { ChangeConfig } from '../../config/change-schema';
import type { Place } from '../../contract/place';

/**
 * The exact way for people to make a change themselves, as it stands in the configuration: what is secret in it is not
 * resolved.
 */
export function byHand(
  { command, operation }: ChangeConfig,
  { service, environment }: Place,
  parameters: Record<string, string> = {},
): string {
  if (command !== undefined) {
    const variables = {
      ...Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name.toUpperCase(), value])),
      RUNBOOKS_SERVICE: service,
      RUNBOOKS_ENVIRONMENT: environment,
    };
    const set = Object.entries(variables).map(([name, value]) => `${name}=${quoted(value)}`);
    const folder = command.directory === '.' ? [] : ['cd', quoted(command.directory), '&&'];
    const line = [...folder, ...set, ...command.run.map(quoted)].join(' ');
    const own = Object.keys(command.environment);
    return `\`${line}\`${own.length === 0 ? '' : ` (with ${own.join(', ')} as configured)`}`;
  }
  const { method, url, body, form } = operation!;
  const sent = body ?? form;
  const request = `${method} ${url}${sent === undefined ? '' : ` with ${JSON.stringify(sent)}`}`;
  return Object.entries({ ...parameters, service, environment }).reduce(
    (text, [name, value]) => text.replaceAll(`{${name}}`, value),
    request,
  );
}

/** As a shell reads it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
