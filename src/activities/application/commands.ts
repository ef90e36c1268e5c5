import { serviceOf, environmentOf } from '../../config/load';
import type { CommandConfig } from '../../config/schema';
import type { ActivityDeps } from '../support/deps';
import { runConfiguredCommand, type CommandResult } from '../support/configured-command';

export type ServiceCommand = 'stopWrites' | 'resumeWrites' | 'switchTraffic' | 'smoke';

/** The service's own commands. Whoever configures one makes it repeatable: a retry runs it again. */
export function createCommandActivities(deps: ActivityDeps) {
  return {
    /** Runs a configured command; where none is configured nothing happens and the result says so. Throws CommandFailed. */
    async runServiceCommand(input: {
      service: string;
      environment: string;
      command: ServiceCommand;
    }): Promise<CommandResult> {
      const configured = commandOf(deps, input);
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
  { service, environment, command }: { service: string; environment: string; command: ServiceCommand },
): CommandConfig | undefined {
  if (command === 'smoke') return environmentOf(config, service, environment).smoke;
  return serviceOf(config, service).restore[command];
}
