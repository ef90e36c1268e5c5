import { scrub } from '../../config/secrets';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const MAX_DEPTH = 6;
const MAX_ITEMS = 20;
const MAX_TEXT = 500;

/** The value at a dot path, undefined where there is none. */
export function valueAt(json: Json, path: string): Json | undefined {
  return path.split('.').reduce<Json | undefined>((node, key) => {
    if (node === null || typeof node !== 'object' || !Object.hasOwn(node, key)) return undefined;
    return (node as Record<string, Json>)[key];
  }, json);
}

/** The finite number at a dot path, null where there is none. */
export function numberAt(json: Json, path: string): number | null {
  const value = valueAt(json, path);
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/**
 * JSON from outside as it may go into a history: at most 20 items per list or object, 500 characters per text and six
 * levels, without secrets.
 */
export function shortened(json: Json, depth = 0): Json {
  if (typeof json === 'string') return scrub(json).slice(0, MAX_TEXT);
  if (json === null || typeof json !== 'object') return json;
  if (depth >= MAX_DEPTH) return '...';
  if (Array.isArray(json)) return json.slice(0, MAX_ITEMS).map((item) => shortened(item, depth + 1));
  const entries = Object.entries(json).slice(0, MAX_ITEMS);
  return Object.fromEntries(entries.map(([key, item]) => [scrub(key), shortened(item, depth + 1)]));
}

/** The same with every text in it changed. */
export function mapTexts(json: Json, change: (text: string) => string): Json {
  if (typeof json === 'string') return change(json);
  if (json === null || typeof json !== 'object') return json;
  if (Array.isArray(json)) return json.map((item) => mapTexts(item, change));
  return Object.fromEntries(Object.entries(json).map(([key, item]) => [key, mapTexts(item, change)]));
}
