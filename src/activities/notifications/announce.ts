import { randomUUID } from 'node:crypto';
import { serviceOf, UnknownName, type LoadedConfig } from '../../config/load';
import { secretsOf, type NotificationConfig } from '../../config/notification-schema';
import { resolveSecrets, scrub } from '../../config/secrets';
import type { ServiceConfig } from '../../config/schema';
import { temporalPlace } from '../../config/temporal';
import { printable, printableLine } from '../../contract/printable';
import { runAddress } from '../../contract/ui-address';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { currentActivity } from '../support/heartbeat';
import { sendByEmail } from './email';
import type { Announcement, AnnounceResult, Message, Sending, Sent } from './message';
import { sendToPagerDuty } from './pagerduty';
import { withoutSecrets } from './secrets';
import { sendToSlackApp } from './slack-app';
import { sendToSlackWebhook } from './slack-webhook';
import { sendToWebhook } from './webhook';

export interface Patience {
  /** For one channel, with its waiting and trying again. */
  channelMs: number;
  /** For all of them, stand-ins included: below the minute that Temporal gives the activity. */
  allMs: number;
}

const PATIENCE: Patience = { channelMs: 20_000, allMs: 45_000 };

/** Messages to people. A retry may repeat one, which is better than losing it. */
export function createAnnounceActivities({ config }: ActivityDeps, patience = PATIENCE) {
  return {
    /**
     * Sends a text to channels of the service, all at once; for one that fails its `fallback` steps in, each channel
     * being tried once. Never throws for a channel: problems are in the result, scrubbed. Takes at most 45 s.
     * Throws InvalidInput for a service that is not configured.
     */
    async announce(announcement: Announcement): Promise<AnnounceResult> {
      const service = configuredService(config, announcement.service);
      return deliver(config, service, channelsFor(service, announcement), announcement, patience);
    },
  };
}

function configuredService(config: LoadedConfig, name: string): ServiceConfig {
  try {
    return serviceOf(config, name);
  } catch (error) {
    if (error instanceof UnknownName) throw fail('InvalidInput', error.message);
    throw error;
  }
}

function channelsFor(
  { notify, escalation }: ServiceConfig,
  { rung, channels, kind }: Announcement,
): NotificationConfig[] {
  const asked = channels ?? escalation.find(({ name }) => name === rung)?.notify;
  if (asked === undefined) return notify;
  // A page whose answer was lost may have opened an alert all the same; to end one that is not there does no harm.
  const endsPages = kind === 'resolved' || kind === 'acknowledged';
  return notify.filter((one) => asked.includes(one.name) || (endsPages && one.kind === 'pagerduty'));
}

async function deliver(
  config: LoadedConfig,
  { notify }: ServiceConfig,
  channels: NotificationConfig[],
  announcement: Announcement,
  { channelMs, allMs }: Patience,
): Promise<AnnounceResult> {
  const message = messageOf(config, announcement);
  const { threads = {} } = announcement;
  const told: string[] = [];
  const problems: string[] = [];
  const found: Record<string, string> = {};
  const tried = new Set(channels);
  const all = AbortSignal.timeout(allMs);

  async function reach(channel: NotificationConfig, standIn: boolean): Promise<void> {
    const { name } = channel;
    const clean = (text: string) => withoutSecrets(`${name}: ${text}`, resolvedSecrets(channel, config));
    let sent: Sent | undefined;
    try {
      const signal = AbortSignal.any([all, AbortSignal.timeout(channelMs)]);
      const resolve = (text: string) => resolveSecrets(text, config.directory);
      sent = await sendInTime(channel, message, { resolve, signal, thread: threads[name] });
    } catch (error) {
      problems.push(clean((error as Error).message));
    }
    if (sent !== undefined && sent !== 'skipped') {
      told.push(name);
      if (sent.thread !== undefined) found[name] = sent.thread;
      if (sent.problem !== undefined) problems.push(clean(sent.problem));
    } else if (sent === undefined || standIn) {
      const next = notify.find((one) => one.name === channel.fallback);
      if (next === undefined || tried.has(next)) return;
      tried.add(next);
      await reach(next, true);
    }
  }

  await Promise.all(channels.map((channel) => reach(channel, false)));
  const merged = { ...threads, ...found };
  return { told, problems, ...(Object.keys(merged).length > 0 ? { threads: merged } : {}) };
}

/** Also something that does not listen to the signal cannot hold the others up. */
async function sendInTime(channel: NotificationConfig, message: Message, sending: Sending): Promise<Sent> {
  const { signal } = sending;
  const late = () => new Error('it took too long, and was given up');
  if (signal.aborted) throw late();
  const timeUp = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(late()), { once: true }),
  );
  return Promise.race([send(channel, message, sending), timeUp]);
}

async function send(channel: NotificationConfig, message: Message, sending: Sending): Promise<Sent> {
  switch (channel.kind) {
    case 'slack':
      return sendToSlackWebhook(channel, message, sending);
    case 'slack-app':
      return sendToSlackApp(channel, message, sending);
    case 'pagerduty':
      return sendToPagerDuty(channel, message, sending);
    case 'webhook':
      return sendToWebhook(channel, message, sending);
    case 'email':
      return sendByEmail(channel, message, sending);
  }
}

function messageOf(config: LoadedConfig, announcement: Announcement): Message {
  const { kind = 'status', service, title, text, workflowId, rung, severity } = announcement;
  const { activityId, runId } = currentActivity();
  return {
    kind,
    service,
    // Here for every channel: what each one's own syntax makes of it is its own affair.
    title: printableLine(scrub(title)),
    text: printable(scrub(text)),
    workflowId,
    rung,
    severity,
    incident: announcement.incident ?? workflowId,
    at: new Date().toISOString(),
    link: linkTo(config, workflowId, runId),
    // Outside of an activity nothing is tried again.
    id: `${runId ?? randomUUID()}#${activityId}`,
  };
}

function linkTo(config: LoadedConfig, workflowId: string, runId: string | undefined): string | undefined {
  const { uiUrl } = config.temporal;
  if (uiUrl === undefined) return undefined;
  return runAddress(uiUrl.replace(/\/+$/, ''), temporalPlace(config).namespace, workflowId, runId);
}

/** Those that can be resolved; a missing one is the problem that is being reported. */
function resolvedSecrets(channel: NotificationConfig, { directory }: LoadedConfig): string[] {
  return secretsOf(channel).flatMap((secret) => {
    try {
      return [resolveSecrets(secret, directory)];
    } catch {
      return [];
    }
  });
}
