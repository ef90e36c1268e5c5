import { request } from 'undici';
import { serviceOf } from '../config/load';
import { resolveSecrets, scrub } from '../config/secrets';
import type { NotificationConfig } from '../config/schema';
import type { ActivityDeps } from './deps';

export interface Announcement {
  service: string;
  text: string;
  workflowId: string;
  title: string;
  /** Rung of the escalation ladder to tell; null tells every channel of the service. */
  rung: string | null;
}

export interface AnnounceResult {
  told: string[];
  problems: string[];
}

const TIMEOUT_MS = 5_000;

/** Status messages. A retry may repeat one, which is better than losing it. */
export function createAnnounceActivities({ config }: ActivityDeps) {
  return {
    /** Sends a text to the service's channels. Never throws for a channel: problems are in the result, scrubbed. */
    async announce(announcement: Announcement): Promise<AnnounceResult> {
      const service = serviceOf(config, announcement.service);
      const result: AnnounceResult = { told: [], problems: [] };
      const rung = service.escalation.find(({ name }) => name === announcement.rung);
      const channels = service.notify.filter(({ name }) => rung === undefined || rung.notify.includes(name));
      await Promise.all(
        channels.map(async (channel) => {
          try {
            await send(
              channel,
              announcement,
              config.directory,
              linkTo(config.temporal, announcement.workflowId),
            );
            result.told.push(channel.name);
          } catch (error) {
            result.problems.push(scrub(`${channel.name}: ${(error as Error).message}`));
          }
        }),
      );
      return result;
    },
  };
}

function linkTo(
  { uiUrl, namespace = 'default' }: { uiUrl?: string; namespace?: string },
  workflowId: string,
): string | undefined {
  return uiUrl === undefined
    ? undefined
    : `${uiUrl}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}`;
}

async function send(
  channel: NotificationConfig,
  { text, title, service, workflowId }: Announcement,
  directory: string,
  link?: string,
) {
  if (channel.kind === 'slack') {
    const where = link === undefined ? workflowId : `<${link}|${workflowId}>`;
    return post(
      resolveSecrets(channel.webhookUrl, directory),
      {},
      { text: `*${title}: ${service}*\n${escapeSlack(text)}\n${where}` },
    );
  }
  if (channel.kind !== 'webhook') throw new Error(`channels of kind ${channel.kind} are on their way`);
  const headers = Object.fromEntries(
    Object.entries(channel.headers).map(([name, value]) => [name, resolveSecrets(value, directory)]),
  );
  return post(resolveSecrets(channel.url, directory), headers, {
    text,
    title,
    service,
    workflowId,
    link: link ?? null,
  });
}

/** Slack's three control characters. https://docs.slack.dev/messaging/formatting-message-text */
function escapeSlack(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

async function post(url: string, headers: Record<string, string>, body: unknown): Promise<void> {
  const { statusCode, body: answer } = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    signal: AbortSignal.timeout(TIMEOUT_MS * 2),
  });
  const text = (await answer.text()).slice(0, 200);
  if (statusCode >= 300) throw new Error(`answered ${statusCode}: ${text}`);
}
