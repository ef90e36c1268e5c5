import type { ChangeConfig } from '../../config/change-schema';
import type { Fence } from '../../contract/place';
import { runConfiguredCommand, type CommandResult } from './configured-command';
import type { ActivityDeps } from './deps';
import { performOperation } from './operation/perform';
import type { Parameter } from './operation/request';

/** What is changed, and the lease under which that happens. */
export interface ChangeOf {
  service: string;
  environment?: string;
  fence: Fence;
}

/**
 * Makes a change as the configuration says, by a command or by a request. Either gets the parameters, what it is about and
 * the token of the lease, with which its other end may refuse an older holder; here nothing compares it. Ends with
 * `signal`. Throws CommandFailed or HttpFailed.
 */
export async function runChange(
  deps: ActivityDeps,
  { service, environment, fence }: ChangeOf,
  { command, operation }: ChangeConfig,
  action: string,
  { parameters = {}, signal }: { parameters?: Record<string, Parameter>; signal?: AbortSignal } = {},
): Promise<CommandResult> {
  const startedAt = Date.now();
  const done = (detail: string): CommandResult => ({ ran: true, detail, durationMs: Date.now() - startedAt });
  if (command !== undefined) {
    const variables = Object.entries(parameters).map(([name, value]) => [name.toUpperCase(), String(value)]);
    const told = {
      ...(Object.fromEntries(variables) as Record<string, string>),
      RUNBOOKS_SERVICE: service,
      ...(environment === undefined ? {} : { RUNBOOKS_ENVIRONMENT: environment }),
      RUNBOOKS_FENCING_TOKEN: String(fence.token),
    };
    return done(await runConfiguredCommand(deps, command, told, signal));
  }
  const { detail } = await performOperation(operation!, {
    action: `${action} of ${[service, environment].filter((part) => part !== undefined).join('/')}`,
    parameters: {
      ...parameters,
      service,
      ...(environment === undefined ? {} : { environment }),
      fencingToken: fence.token,
    },
    directory: deps.config.directory,
    ...(signal === undefined ? {} : { signal }),
  });
  return done(detail);
}
