import type { NotificationConfig } from '../../config/notification-schema';
import type { Message, Sending, Sent } from './message';
import { said } from '../support/http-status';
import { postJson } from './post';
import { slackMessage } from './slack-blocks';
import { slackProblem } from './slack-errors';

/** Posts to an incoming webhook. It does not say which message it made, so there are no threads here. */
export async function sendToSlackWebhook(
  { webhookUrl }: NotificationConfig & { kind: 'slack' },
  message: Message,
  { resolve, signal }: Sending,
): Promise<Sent> {
  const answer = await postJson(resolve(webhookUrl), slackMessage(message, false), { signal });
  const word = answer.text.trim();
  if (answer.status < 300) return {};
  throw new Error(/^\w{3,60}$/.test(word) ? slackProblem(word) : said(answer));
}
