import { printableLine } from '../../contract/printable';
import { cut, labelOf, timeOf, type Message, type MessageKind } from './message';

/** Limits of Slack. https://docs.slack.dev/reference/block-kit/blocks */
const MAX_HEADER = 150;
const MAX_SECTION = 3_000;
/** Slack recommends no more for the fallback, and cuts at 40,000. */
const MAX_TEXT = 4_000;
const MAX_CONTEXT = 2_000;

const MARKS: Record<MessageKind, string> = { page: '🚨', acknowledged: '👀', resolved: '✅', status: '📣' };

export interface SlackMessage {
  /** What a phone shows, and clients without blocks. */
  text: string;
  blocks: unknown[];
}

/**
 * A message for a tired reader: what it is and about which service, then what to know or do, then where and when.
 * A status within its thread has no headline: the thread has one.
 */
export function slackMessage(message: Message, inThread: boolean): SlackMessage {
  const { kind, service, title, text } = message;
  const headline = `${MARKS[kind]} ${labelOf(message)} · ${service} · ${printableLine(title)}`;
  const header = {
    type: 'header',
    text: { type: 'plain_text', text: cut(headline, MAX_HEADER), emoji: true },
  };
  return {
    text: escapeSlack(`${MARKS[kind]} ${labelOf(message)} · ${service}: ${text}`, MAX_TEXT),
    blocks: [
      ...(inThread && kind === 'status' ? [] : [header]),
      // Verbatim: names in the text of others must not call anybody.
      { type: 'section', text: { type: 'mrkdwn', text: linked(text), verbatim: true } },
      { type: 'context', elements: [{ type: 'mrkdwn', text: contextOf(message), verbatim: true }] },
    ],
  };
}

function contextOf(message: Message): string {
  const { link, rung, workflowId } = message;
  const id = `\`${escapeSlack(workflowId.replaceAll('`', "'"), MAX_CONTEXT / 4)}\``;
  const parts = [
    // An address that had to be cut would lead nowhere.
    link !== undefined && link.length < MAX_CONTEXT / 2
      ? `*<${escapeSlack(link, MAX_CONTEXT)}|Open the run>*`
      : '',
    timeOf(message),
    rung === null ? '' : `to ${escapeSlack(rung, 200)}`,
    id,
  ];
  return parts.filter((part) => part !== '').join('  ·  ');
}

/** Slack's three control characters, cut without halving what they became.
 * https://docs.slack.dev/messaging/formatting-message-text */
export function escapeSlack(text: string, max: number): string {
  const escaped: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
  let result = '';
  for (const character of text) {
    const next = escaped[character] ?? character;
    if (result.length + next.length > max - 2) return `${result} …`;
    result += next;
  }
  return result;
}

/** Addresses can be clicked; everything else stays as it is written. */
function linked(text: string): string {
  const url = /https?:\/\/[^\s<>|]*[^\s<>|.,;:!?)\]'"]/g;
  const withLinks = escapeSlack(text, MAX_SECTION).replace(url, '<$&>');
  const shown = withLinks.length <= MAX_SECTION ? withLinks : escapeSlack(text, MAX_SECTION);
  // Slack refuses a section without text.
  return shown.trim() === '' ? '(no text)' : shown;
}
