import { createHash } from 'node:crypto';
import type { Alert } from '../contract/alert';
import { printable, printableLine } from '../contract/printable';
import { BadAlert } from './sender';

type Value = string | null | undefined;

/** What a sender's body says, before it is made fit for a history. */
export interface RawAlert {
  source: string;
  fingerprint: string;
  status: Alert['status'];
  /** ISO time, as `isoTime` returns it. */
  startsAt?: string | null;
  severity?: Value;
  title?: Value;
  labels?: Record<string, Value>;
  annotations?: Record<string, Value>;
  link?: Value;
}

const MAX_ENTRIES = 64;
const MAX_FINGERPRINT = 256;
/** Of all labels, and of all annotations: a run's input stays well below what Temporal warns about. */
const MAX_CHARACTERS = 32_000;

/**
 * The normal form: bounded, readable, and without what must not reach a history. Texts that are too long are cut and
 * entries beyond the 64th left out, because an alert with a long description is an alert all the same.
 * Throws `BadAlert` when nothing is left of the fingerprint.
 */
export function toAlert(raw: RawAlert): Alert {
  const fingerprint = identity(raw.fingerprint);
  return {
    source: raw.source,
    fingerprint,
    startsAt: raw.startsAt ?? null,
    status: raw.status,
    severity: line(raw.severity, 40).toLowerCase().slice(0, 40),
    title: line(raw.title, 500) || fingerprint,
    labels: entries(raw.labels, (value) => line(value, 1_000)),
    annotations: entries(raw.annotations, (value) => prose(value, 4_000)),
    link: httpLink(raw.link),
  };
}

/** Cut texts may be equal where the whole ones differ, so a long fingerprint ends in a digest of all of it. */
function identity(text: string): string {
  const clean = printableLine(text);
  if (clean === '') throw new BadAlert('fingerprint: got an empty text, wanted what identifies the alert');
  if (clean.length <= MAX_FINGERPRINT) return clean;
  return `${cut(clean, 180)} ${createHash('sha256').update(clean).digest('hex')}`;
}

function entries(all: Record<string, Value> = {}, clean: (value: Value) => string): Record<string, string> {
  const kept = new Map<string, string>();
  let length = 0;
  for (const [name, value] of Object.entries(all)) {
    if (kept.size === MAX_ENTRIES) break;
    const key = line(name, 128);
    if (key === '' || key === '__proto__' || SECRET_NAME.test(key) || kept.has(key)) continue;
    const text = clean(value);
    length += text.length;
    if (length > MAX_CHARACTERS) break;
    // As Prometheus has it: an empty label is an absent one.
    if (text !== '') kept.set(key, text);
  }
  return Object.fromEntries(kept);
}

const SECRET_NAME =
  /(authorization|password|passwd|secret|token|api[-_]?key|cookie|credentials?|private[-_]?key)$/i;

/** A text of one line with at most `max` characters. */
export function line(text: Value, max: number): string {
  return cut(withoutCredentials(printableLine(text ?? '')), max);
}

function prose(text: Value, max: number): string {
  return cut(withoutCredentials(printable(text ?? '').trim()), max);
}

/**
 * Passwords in addresses and connection strings, and bearer tokens. Not `scrub`: that also removes every value that
 * was resolved so far, host names among them, and the same alert would read differently from one hour to the next.
 */
function withoutCredentials(text: string): string {
  return text
    .replace(/(:\/\/[^\s:@/]{0,200}:)[^\s@/]{1,500}@/g, '$1***@')
    .replace(/(password=)('[^']*'|\S+)/gi, '$1***')
    .replace(/(bearer )[\w.~+/=-]{20,}/gi, '$1***');
}

function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  // Not through the middle of a character.
  return `${text.slice(0, max - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** People click it: nothing but http and https, and no user name or password in it. */
function httpLink(text: Value): string | null {
  if (!text || text.length > 2_000) return null;
  try {
    const url = new URL(text.trim());
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return null;
    url.username = '';
    url.password = '';
    return url.href.length <= 2_000 ? url.href : null;
  } catch {
    return null;
  }
}
