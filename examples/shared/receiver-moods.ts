/** How those answer to whom webhooks go; `rotated`: they have another secret. */
export const RECEIVER_MOODS = ['well', 'broken', 'slow', 'gone', 'busy', 'rotated'] as const;
export type ReceiverMood = (typeof RECEIVER_MOODS)[number];
