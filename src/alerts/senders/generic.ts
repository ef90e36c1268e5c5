import type { GenericMapping } from '../../config/alert-schema';
import type { Alert } from '../../contract/alert';
import { verifyAsConfigured } from '../authenticate';
import { toAlert } from '../normal-form';
import { BadAlert, type Sender } from '../sender';
import { isoTime } from '../time';
import { list, member, problem, read } from './fields';
import { z } from 'zod';

/**
 * A sender whose JSON the configuration describes. With an HMAC and without a timestamp header a body is taken once:
 * let it carry a time, or two outages that read the same are one.
 */
export const generic: Sender = {
  verify: verifyAsConfigured,
  parse(body, _headers, { source, mapping }) {
    if (mapping === undefined) throw new Error(`source ${source} is generic and has no fields`);
    if (mapping.items === undefined) return [parseItem(body, mapping, source)];
    const items = follow(body, mapping.items);
    const at = keysOf(mapping.items);
    if (!Array.isArray(items)) throw new BadAlert(problem(at, body, 'an array'));
    return read(list(z.unknown()), items).map((item) => parseItem(item, mapping, source));
  },
};

function parseItem(item: unknown, mapping: GenericMapping, source: string): Alert {
  const optional = (path: string | undefined) => (path === undefined ? undefined : textAt(item, path));
  const required = (path: string) => {
    const found = textAt(item, path);
    if (found !== undefined && found.trim() !== '') return found;
    throw new BadAlert(problem(keysOf(path), item, 'a text that is not empty'));
  };
  const each = (paths: Record<string, string>) =>
    Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, textAt(item, path)]));
  // Where a status is configured its absence may not pass for an alarm.
  const status = mapping.status === undefined ? null : required(mapping.status).trim().toLowerCase();
  const resolved = mapping.resolvedValues.map((word) => word.toLowerCase());
  return toAlert({
    source,
    fingerprint: required(mapping.fingerprint),
    status: status !== null && resolved.includes(status) ? 'resolved' : 'firing',
    startsAt: mapping.startsAt === undefined ? null : timeAt(item, mapping.startsAt),
    severity: optional(mapping.severity),
    title: optional(mapping.title),
    labels: each(mapping.labels),
    annotations: each(mapping.annotations),
    link: optional(mapping.link),
  });
}

/** Numbers and booleans are read as text; undefined where nothing is. Throws `BadAlert` for arrays and objects. */
function textAt(item: unknown, path: string): string | undefined {
  const value = follow(item, path);
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'object') throw new BadAlert(problem(keysOf(path), item, 'a text'));
  // eslint-disable-next-line @typescript-eslint/no-base-to-string -- objects were refused above
  return String(value);
}

function timeAt(item: unknown, path: string): string | null {
  const value = follow(item, path);
  if (value === undefined || value === null || value === '') return null;
  const iso = typeof value === 'string' || typeof value === 'number' ? isoTime(value) : undefined;
  if (iso === undefined) throw new BadAlert(problem(keysOf(path), item, 'an ISO or Unix time'));
  return iso;
}

function follow(value: unknown, path: string): unknown {
  return keysOf(path).reduce<unknown>(member, value);
}

const keysOf = (path: string): string[] => path.split('.');
