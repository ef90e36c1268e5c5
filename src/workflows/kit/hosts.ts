import {
  ActivityFailure,
  ApplicationFailure,
  proxyActivities,
  TimeoutFailure,
  workflowInfo,
  type ActivityOptions,
} from '@temporalio/workflow';
import type { Activities } from '../../activities';
import { bind, hostFor, hostQueue, isAskedByName, learn } from '../../contract/hosts';
import type { RunState } from './state';

/** What a run knows of the hosts of its workers. */
export type Hosts = Pick<RunState, 'whereabouts' | 'policy'>;

type Activity = (...args: unknown[]) => Promise<unknown>;

/** Activities that go to the host on whose disk lies what they are about. They fail as HostLost when no worker of it is there. */
export function routed(options: ActivityOptions, hosts: Hosts): Activities {
  const anywhere = proxyActivities<Activities>(options);
  const call = async (name: string, args: unknown[]): Promise<unknown> => {
    const [input] = args;
    const host = hostFor(hosts.whereabouts, input);
    if (host === undefined) return byName(anywhere, name)(...args);
    // What it makes lies there, also when nobody hears of it.
    bind(hosts.whereabouts, input, host);
    const lostMs = lostAfter(input, hosts);
    const taskQueue = hostQueue(workflowInfo().taskQueue, host);
    const there = proxyActivities<Activities>({ ...options, taskQueue, scheduleToStartTimeout: lostMs });
    return byName(
      there,
      name,
    )(...args).catch((error: unknown) => {
      throw wasTaken(error) ? error : hostLost(host, name, lostMs);
    });
  };
  return new Proxy(anywhere, {
    get:
      (_, name: string) =>
      async (...args: unknown[]) => {
        const result = await call(name, args);
        learn(hosts.whereabouts, result);
        return result;
      },
  });
}

function byName(activities: unknown, name: string): Activity {
  return (activities as Record<string, Activity>)[name]!;
}

/** Of runs that began before the configuration said it. */
const HOST_LOST_MS = 60_000;

/** Who asks a host for what it has can do without the answer. */
function lostAfter(input: unknown, { policy }: Hosts): number {
  const lostMs = policy?.hostLostMs ?? HOST_LOST_MS;
  return isAskedByName(input) ? lostMs / 4 : lostMs;
}

function wasTaken(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  return !(cause instanceof TimeoutFailure) || cause.timeoutType !== 'SCHEDULE_TO_START';
}

const HOST_LOST = 'HostLost';

function hostLost(host: string, name: string, lostMs: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: HOST_LOST,
    message: `no worker of host ${host} was there to do ${name} within ${lostMs / 1_000} s: what lies on its disk is out of reach. Start its worker again; one that sees the same disk under another name needs \`worker.host: ${host}\``,
    details: [{ host }],
  });
}

/** The host that is lost where that is why something failed. */
export function lostHostOf(error: unknown): string | undefined {
  if (!(error instanceof ApplicationFailure) || error.type !== HOST_LOST) return undefined;
  return (error.details?.[0] as { host: string } | undefined)?.host;
}
