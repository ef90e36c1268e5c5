import { serviceOf } from '../../config/load';
import type { CommandConfig } from '../../config/schema';
import type { ActivityDeps } from '../support/deps';
import { runConfiguredCommand, type CommandResult } from '../support/configured-command';
import { runSmoke } from './smoke';

export type ServiceCommand = 'stopWrites' | 'resumeWrites' | 'switchTraffic' | 'smoke';

/** The service's own commands. Whoever configures one makes it repeatable: a retry runs it again. */
export function createCommandActivities(deps: ActivityDeps) {
  return {
    /**
     * Runs a configured command, or the key flows of a smoke test, at `url` where that is another address than usual. Where
     * none is configured nothing happens and the result says so. Throws CommandFailed.
     */
    async runServiceCommand(input: {
      service: string;
      environment: string;
      command: ServiceCommand;
      url?: string;
    }): Promise<CommandResult> {
      if (input.command === 'smoke') return runSmoke(deps, input, input.url);
      const configured = commandOf(deps, { service: input.service, command: input.command });
      if (configured === undefined)
        return { ran: false, detail: `no ${input.command} configured`, durationMs: 0 };
      const startedAt = Date.now();
      const last = await runConfiguredCommand(deps, configured, {
        RUNBOOKS_SERVICE: input.service,
        RUNBOOKS_ENVIRONMENT: input.environment,
      });
      return { ran: true, detail: last, durationMs: Date.now() - startedAt };
    },
  };
}

function commandOf(
  { config }: ActivityDeps,
  { service, command }: { service: string; command: Exclude<ServiceCommand, 'smoke'> },
): CommandConfig | undefined {
  return serviceOf(config, service).restore[command];
}
