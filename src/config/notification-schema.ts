/** Channels that people are told through. */
import { z } from 'zod';
import { secretText } from './primitives';

const common = {
  name: z.string().min(1),
  fallback: z.string().optional().describe('channel of this service that is used when this one fails'),
};

export const notificationSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('slack'), ...common, webhookUrl: secretText }),
  z
    .strictObject({
      kind: z.literal('slack-app'),
      ...common,
      token: secretText.describe('bot token with chat:write'),
      channel: z.string().min(1).describe('channel ID, e.g. C0123456789'),
      apiUrl: z.string().default('https://slack.com/api'),
    })
    .describe('posts with chat.postMessage: one thread for each incident'),
  z.strictObject({
    kind: z.literal('pagerduty'),
    ...common,
    routingKey: secretText.describe('integration key of Events API v2'),
    apiUrl: z.string().default('https://events.pagerduty.com'),
  }),
  z.strictObject({
    kind: z.literal('webhook'),
    ...common,
    url: secretText,
    headers: z.record(z.string(), secretText).default({}),
  }),
  z.strictObject({
    kind: z.literal('email'),
    ...common,
    smtpUrl: secretText.describe('smtp://user:password@host:587 or smtps://...'),
    from: z.string().min(3),
    to: z.array(z.string().min(3)).min(1),
  }),
]);

export type NotificationConfig = z.infer<typeof notificationSchema>;

/** The part of a channel's configuration that is secret, or holds a secret. */
export function secretsOf(channel: NotificationConfig): string[] {
  switch (channel.kind) {
    case 'slack':
      return [channel.webhookUrl];
    case 'slack-app':
      return [channel.token];
    case 'pagerduty':
      return [channel.routingKey];
    case 'webhook':
      return [channel.url, ...Object.values(channel.headers)];
    case 'email':
      return [channel.smtpUrl];
  }
}
