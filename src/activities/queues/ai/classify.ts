import { compilePattern } from '../../../config/pattern';
import { FAILURE_KINDS, type AiWorkersConfig, type FailureKind } from './schema';

/** What a failed task is; `other` fits none of the patterns. */
export type Kind = FailureKind | 'other';

export type Classify = (text: string) => Kind;

export function classifierOf({ failures }: Pick<AiWorkersConfig, 'failures'>): Classify {
  const patterns = FAILURE_KINDS.map((kind) => ({ kind, pattern: compilePattern(`(?i)${failures[kind]}`) }));
  return (text) => patterns.find(({ pattern }) => pattern.test(text))?.kind ?? 'other';
}

const RETRY_AFTER = /(?:retry.?after|try again in)\D{0,4}(\d{1,6}(?:\.\d{1,3})?) ?(ms)?/i;

/** How long a provider wants to be left alone, where the text of a failure quotes it. */
export function retryAfterIn(text: string): number | undefined {
  const [, count, unit] = RETRY_AFTER.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * (unit === undefined ? 1_000 : 1);
}
