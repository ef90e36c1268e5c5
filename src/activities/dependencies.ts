import type { Audit, Outdated } from '../contract/dependencies';
import type { Fence } from '../contract/place';
import { readAudit, readOutdated } from './dependencies/npm';
import { dependenciesOf } from './dependencies/settings';
import { runChange } from './support/change';
import type { ActivityDeps } from './support/deps';
import { fail } from './support/failure';

/** What can be found out about the packages of a repository, and who is told. Nothing is installed. */
export function createDependencyActivities(deps: ActivityDeps) {
  return {
    /** Reads only. Throws InvalidInput, CommandFailed (tried again where the registry did not answer). */
    async auditDependencies({ service }: { service: string }): Promise<Audit & { opens: boolean }> {
      const { audit, open } = dependenciesOf(deps, service);
      return { ...(await readAudit(deps, service, audit)), opens: open !== undefined };
    },

    /** Null where nothing is configured. Reads only. Throws InvalidInput, CommandFailed. */
    async listOutdated({ service }: { service: string }): Promise<Outdated | null> {
      const { outdated } = dependenciesOf(deps, service);
      return outdated === undefined ? null : readOutdated(deps, service, outdated);
    },

    /**
     * Opens a pull request or an issue. A retry sends the same key, with which the other end tells that there is one already.
     * Throws InvalidInput, CommandFailed, HttpFailed.
     */
    async openDependencyUpdate(input: {
      service: string;
      title: string;
      body: string;
      key: string;
      fence: Fence;
    }): Promise<{ detail: string }> {
      const { service, title, body, key, fence } = input;
      const { open } = dependenciesOf(deps, service);
      if (open === undefined) throw fail('InvalidInput', `${service} has no dependencies.open.`);
      const { detail } = await runChange(deps, { service, fence }, open, 'open an update', {
        parameters: { title, body, key },
      });
      return { detail };
    },
  };
}
