import type { NotificationConfig } from '../../config/notification-schema';
import type { Message, Sending, Sent } from './message';
import { said } from '../support/http-status';
import type { HttpAnswer } from '../support/http';
import { postJson } from './post';
import { slackMessage } from './slack-blocks';
import { slackProblem } from './slack-errors';

interface PostMessageAnswer {
  ok: boolean;
  error?: string;
  ts?: string;
}

/** The first message of the incident is gone, or takes no replies: the next one begins a new thread. */
const THREAD_GONE = ['thread_not_found', 'message_not_found', 'cannot_reply_to_message', 'invalid_thread_ts'];

/**
 * Posts with chat.postMessage: one thread for each incident, whose first message is its `ts`. A page and its end also
 * appear in the channel itself. A message whose answer was lost may arrive twice: better than not at all.
 */
export async function sendToSlackApp(
  { token, channel, apiUrl }: NotificationConfig & { kind: 'slack-app' },
  message: Message,
  { resolve, signal, thread }: Sending,
): Promise<Sent> {
  const { kind, incident, workflowId } = message;
  const post = async (parent: string | undefined) => {
    const body = {
      channel,
      ...slackMessage(message, parent !== undefined),
      ...(parent === undefined ? {} : { thread_ts: parent }),
      ...(parent !== undefined && (kind === 'page' || kind === 'resolved') ? { reply_broadcast: true } : {}),
      unfurl_links: false,
      unfurl_media: false,
      metadata: { event_type: 'durable_runbooks', event_payload: { workflowId, incident, kind } },
    };
    const headers = { authorization: `Bearer ${resolve(token)}` };
    return parse(await postJson(`${apiUrl}/chat.postMessage`, body, { headers, signal }));
  };
  let answer = await post(thread);
  const isLost = thread !== undefined && THREAD_GONE.includes(answer.error ?? '');
  if (isLost) answer = await post(undefined);
  if (!answer.ok) throw new Error(slackProblem(answer.error ?? 'unknown_error'));
  const parent = isLost ? answer.ts : (thread ?? answer.ts);
  return parent === undefined ? {} : { thread: parent };
}

function parse(answer: HttpAnswer): PostMessageAnswer {
  if (answer.status === 429) return { ok: false, error: 'ratelimited' };
  try {
    const body = JSON.parse(answer.text) as PostMessageAnswer | null;
    if (typeof body?.ok === 'boolean') return body;
  } catch {
    // Not Slack: a proxy, or a wrong address.
  }
  throw new Error(`${said(answer)}; this is no answer of Slack, check apiUrl`);
}
