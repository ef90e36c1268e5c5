import { setTimeout as sleep } from 'node:timers/promises';
import type { Deployment } from './deployment-list';
import type { ActivityDeps } from '../support/deps';
import { runChange } from '../support/change';
import { fail } from '../support/failure';
import { currentActivity, withProgress } from '../support/heartbeat';
import { deploymentsOf, readDeployments } from './read-deployments';
import type { Fence } from '../../contract/place';

export interface Promotion {
  /** What the command said last. */
  detail: string;
  /** It was in front already, and nothing was run. */
  alreadyCurrent: boolean;
}

/** What a listing may hold: one that is longer is cut to the newest, and to those that can be gone back to. */
const MAX_LISTED = 50;
const LOOK_EVERY_MS = 1_000;

/** Lists and promotes deployments with the commands of the configuration. */
export function createDeploymentActivities(deps: ActivityDeps) {
  const readAll = (service: string): Promise<Deployment[]> =>
    readDeployments(deps, service, deploymentsOf(deps, service).list);

  /** A command may only begin what a platform then does: it is done when the list shows it. */
  async function untilCurrent(service: string, id: string): Promise<void> {
    const { settleSeconds, promote } = deploymentsOf(deps, service);
    const deadline = Date.now() + settleSeconds * 1_000;
    await withProgress(
      { phase: `wait until ${id} is in front`, done: 0, total: 0, unit: 'statements' },
      async () => {
        while (!(await readAll(service)).some((one) => one.id === id && one.current)) {
          if (Date.now() > deadline) {
            throw fail(
              'CommandFailed',
              `\`${promote.run.join(' ')}\` succeeded, but ${settleSeconds} s later the list of ${service} still does not show ${id} in front. Look at the deployment tool.`,
            );
          }
          await sleep(LOOK_EVERY_MS, undefined, { signal: currentActivity().signal });
        }
      },
    );
  }

  return {
    /**
     * The newest deployments, and those that can be gone back to from the current one, newest first. Reads only, so a
     * retry is safe. Throws InvalidInput (nothing configured) and CommandFailed, which names the field, what came and
     * what was wanted.
     */
    async listDeployments({ service }: { service: string }): Promise<Deployment[]> {
      const found = await readAll(service);
      const from = Math.max(
        0,
        found.findIndex(({ current }) => current),
      );
      return found.filter((_, index) => index < MAX_LISTED || (index >= from && index < from + MAX_LISTED));
    },

    /**
     * Puts `deployment` in front of `from`. Safe to retry: the list is read first, and where an attempt before had
     * succeeded nothing is run again. A command keeps no fence: it gets the token as RUNBOOKS_FENCING_TOKEN and may
     * refuse a lower one than it has seen; what is in front is looked at right before. Throws DeploymentChanged when
     * somebody has put another one in front meanwhile, InvalidInput, CommandFailed.
     */
    async promoteDeployment(input: {
      service: string;
      deployment: string;
      /** What has to be in front now; null where nothing is. */
      from: string | null;
      fence: Fence;
    }): Promise<Promotion> {
      const { service, deployment, from, fence } = input;
      const { promote } = deploymentsOf(deps, service);
      const before = await readAll(service);
      const current = before.find((one) => one.current)?.id;
      if (current === deployment)
        return { detail: `${deployment} is in front already`, alreadyCurrent: true };
      refuseUnlessReady(before, deployment, service);
      if ((current ?? null) !== from) {
        throw fail(
          'DeploymentChanged',
          `${service} has ${current ?? 'nothing'} in front now and not ${from ?? 'nothing'}: somebody else deployed meanwhile. Nothing was changed; look at that deployment first.`,
        );
      }
      const parameters = { deployment_id: deployment };
      const { detail } = await runChange(deps, { service, fence }, { command: promote }, 'promote', {
        parameters,
      });
      await untilCurrent(service, deployment);
      return { detail, alreadyCurrent: false };
    },
  };
}

function refuseUnlessReady(found: Deployment[], id: string, service: string): void {
  const wanted = found.find((one) => one.id === id);
  if (wanted?.state === 'ready') return;
  const problem = wanted === undefined ? 'does not exist' : `is ${wanted.state}, not ready`;
  throw fail('InvalidInput', `deployment ${id} of ${service} ${problem}. Nothing was changed.`);
}
