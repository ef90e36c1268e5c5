import type { Severity } from '../../contract/modes';
import { utc, capitalised } from '../../contract/text';

/** `page` calls people; `acknowledged` and `resolved` are about an earlier page; `status` only informs. */
export type MessageKind = 'status' | 'page' | 'acknowledged' | 'resolved';

export interface Announcement {
  service: string;
  text: string;
  workflowId: string;
  title: string;
  /** Rung of the escalation ladder to tell; null tells every channel of the service. */
  rung: string | null;
  /** Names of channels to tell instead, e.g. those that were paged. */
  channels?: string[];
  /** Default `status`. */
  kind?: MessageKind;
  severity?: Severity;
  /** What messages about the same trouble have in common; default the workflow ID. */
  incident?: string;
  /** By channel: what later messages of the incident hang on to. From the result of the message before. */
  threads?: Record<string, string>;
}

export interface AnnounceResult {
  /** Channels that took the message. */
  told: string[];
  /** What went wrong, one text for each channel; no secret in it. */
  problems: string[];
  threads?: Record<string, string>;
}

/** An announcement as the channels get it: complete, and scrubbed. */
export interface Message {
  kind: MessageKind;
  service: string;
  title: string;
  text: string;
  workflowId: string;
  rung: string | null;
  incident: string;
  severity?: Severity;
  /** ISO time. */
  at: string;
  /** The run in the Temporal UI, where its address is known. */
  link?: string;
  /** Of this message, the same for every attempt to send it. */
  id: string;
}

/** What a channel sends with. */
export interface Sending {
  /** Replaces `${env:NAME}` and `${file:PATH}`. */
  resolve: (text: string) => string;
  /** Of the incident in this channel; undefined for its first message. */
  thread?: string;
  /** Fires when the channel has had its time. */
  signal: AbortSignal;
}

/** What came of sending: `skipped` where such a message is not for such a channel. Failures are thrown. */
export type Sent = 'skipped' | { thread?: string; problem?: string };

/** `P1 page`, `P1 resolved`, `Status`. */
export function labelOf({ kind, severity }: Pick<Message, 'kind' | 'severity'>): string {
  return capitalised(severity === undefined ? kind : `${severity} ${kind}`);
}

/** `2026-11-21 03:50:12 UTC`. */
export function timeOf({ at }: Pick<Message, 'at'>): string {
  return `${utc(at)} UTC`;
}

/** At most so many UTF-16 units, never half a character; what was cut is marked. */
export function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  return `${text.slice(0, max - 2).replace(/[\uD800-\uDBFF]$/, '')} …`;
}
