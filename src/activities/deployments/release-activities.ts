import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandConfig } from '../../config/schema';
import type { Fence } from '../../contract/place';
import { isOf, type Release } from '../../contract/release';
import { runChange } from '../support/change';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { currentActivity, withProgress } from '../support/heartbeat';
import type { Deployment } from './deployment-list';
import { deploymentsOf, readDeployments, releaseOf } from './read-deployments';

export interface ReleaseSettings {
  /** Environment where a version is tried first; null where there is none. */
  staging: string | null;
  /** Whether a new version that failed can be taken away. */
  retires: boolean;
  windowMs: number;
}

export interface Deployed {
  deployment: Deployment;
  /** It was there already, and nothing was run. */
  alreadyThere: boolean;
}

/** Where a version goes. */
interface Tool {
  environment: string;
  list: CommandConfig;
  setting: string;
  deploy: CommandConfig;
  isThere: (one: Deployment) => boolean;
}

const LOOK_EVERY_MS = 1_000;
const STATES = ['ready', 'building', 'failed'];

/** Deploys versions beside those that are in front, with the commands of the configuration. */
export function createReleaseActivities(deps: ActivityDeps) {
  /** Looks before it runs the command, so that an attempt after a lost one makes no second deployment. */
  async function ensure(tool: Tool, service: string, release: Release, fence: Fence): Promise<Deployed> {
    const there = await find(tool, service, release);
    if (there !== undefined && isReady(tool, there)) return { deployment: there, alreadyThere: true };
    if (there?.state !== 'building') {
      const parameters = { release_version: release.version, release_commit: release.commit };
      await runChange(
        deps,
        { service, environment: tool.environment, fence },
        { command: tool.deploy },
        'deploy',
        { parameters },
      );
    }
    return { deployment: await untilReady(tool, service, release), alreadyThere: false };
  }

  async function find(tool: Tool, service: string, release: Release): Promise<Deployment | undefined> {
    const all = await readDeployments(deps, service, tool.list, tool.setting);
    return all.filter((one) => isOf(one, release)).sort(byState)[0];
  }

  /** A command may only begin what a platform then does. */
  async function untilReady(tool: Tool, service: string, release: Release): Promise<Deployment> {
    const { readySeconds } = releaseOf(deps, service);
    const deadline = Date.now() + readySeconds * 1_000;
    const phase = `wait until ${release.version} is ready`;
    return withProgress({ phase, done: 0, total: 0, unit: 'statements' }, async () => {
      for (;;) {
        const there = await find(tool, service, release);
        if (there !== undefined && isReady(tool, there)) return there;
        if (there?.state === 'failed' || Date.now() > deadline)
          throw notReady(tool, service, release, there, readySeconds);
        await sleep(LOOK_EVERY_MS, undefined, { signal: currentActivity().signal });
      }
    });
  }

  const productionOf = (service: string): Tool => ({
    environment: 'production',
    list: deploymentsOf(deps, service).list,
    setting: 'deployments.list',
    deploy: releaseOf(deps, service).deploy,
    isThere: () => true,
  });

  return {
    /** Reads only the configuration. Throws InvalidInput. */
    async readReleaseSettings({ service }: { service: string }): Promise<ReleaseSettings> {
      const { staging, retire, windowMinutes } = releaseOf(deps, service);
      return {
        staging: staging?.environment ?? null,
        retires: retire !== undefined,
        windowMs: windowMinutes * 60_000,
      };
    },

    /**
     * Puts a version in front of staging. Safe to retry: what stands there already is not deployed again. Throws
     * InvalidInput, CommandFailed.
     */
    async deployToStaging(input: { service: string; release: Release; fence: Fence }): Promise<Deployed> {
      const { service, release, fence } = input;
      const { staging } = releaseOf(deps, service);
      if (staging === undefined) throw fail('InvalidInput', `${service} has no deployments.release.staging.`);
      const { environment, list, deploy } = staging;
      const setting = 'deployments.release.staging.list';
      const tool = { environment, list, setting, deploy, isThere: (one: Deployment) => one.current };
      return ensure(tool, service, release, fence);
    },

    /**
     * Makes a deployment of a version beside `from`, which must be in front. Safe to retry: one that is ready, or being
     * built, is not made again. The command gets the token of the lease; nothing here compares it. Throws
     * DeploymentChanged, InvalidInput, CommandFailed.
     */
    async deployBeside(input: {
      service: string;
      release: Release;
      from: string;
      fence: Fence;
    }): Promise<Deployed> {
      const { service, release, from, fence } = input;
      const tool = productionOf(service);
      const current = (await readDeployments(deps, service, tool.list)).find((one) => one.current);
      if (current?.id !== from && !(current !== undefined && isOf(current, release)))
        throw fail(
          'DeploymentChanged',
          `${service} has ${current?.id ?? 'nothing'} in front now and not ${from}: somebody else deployed meanwhile. Nothing was deployed by this run; look at that deployment first.`,
        );
      return ensure(tool, service, release, fence);
    },

    /**
     * Takes away a deployment that is not in front. Safe to retry: one that the list no longer has, or has as failed, is
     * gone. Throws DeploymentChanged where it is in front, InvalidInput, CommandFailed.
     */
    async retireDeployment(input: {
      service: string;
      deployment: string;
      fence: Fence;
    }): Promise<{ detail: string }> {
      const { service, deployment, fence } = input;
      const { retire } = releaseOf(deps, service);
      if (retire === undefined) throw fail('InvalidInput', `${service} has no deployments.release.retire.`);
      const all = await readDeployments(deps, service, deploymentsOf(deps, service).list);
      const there = all.find(({ id }) => id === deployment);
      if (there === undefined || there.state === 'failed') return { detail: `${deployment} is gone already` };
      if (there.current)
        throw fail('DeploymentChanged', `${deployment} is in front of ${service}. It was not taken away.`);
      const change = { service, environment: 'production', fence };
      const parameters = { deployment_id: deployment };
      const { detail } = await runChange(deps, change, { command: retire }, 'retire', { parameters });
      return { detail };
    },
  };
}

function isReady({ isThere }: Tool, deployment: Deployment): boolean {
  return deployment.state === 'ready' && isThere(deployment);
}

/** One attempt may have failed before another one succeeded. */
function byState(a: Deployment, b: Deployment): number {
  return Number(b.current) - Number(a.current) || STATES.indexOf(a.state) - STATES.indexOf(b.state);
}

function notReady(
  { environment, deploy }: Tool,
  service: string,
  { version, commit }: Release,
  there: Deployment | undefined,
  readySeconds: number,
): Error {
  const where = `${service}/${environment}`;
  const seen =
    there === undefined ? `does not show ${version} of ${commit}` : `shows ${there.id} as ${there.state}`;
  const notFront = there?.state === 'ready' ? ' and not in front' : '';
  const when = there?.state === 'failed' ? '' : ` after ${readySeconds} s`;
  return fail(
    'CommandFailed',
    `the list of deployments of ${where} ${seen}${notFront}${when}, where \`${deploy.run.join(' ')}\` was to make it. Look at the deployment tool before it is started again.`,
  );
}
