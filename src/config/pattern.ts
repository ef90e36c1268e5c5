import type { RE2JS as Pattern } from 're2js';

/** Whether the whole of `value` matches. RE2: linear time, whatever the pattern. Throws for a pattern that is none. */
export function matches(pattern: string, value: string): boolean {
  return compile(pattern).testExact(value);
}

/** Why a pattern cannot be used, undefined when it can. */
export function patternProblem(pattern: string): string | undefined {
  try {
    compile(pattern);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function compile(pattern: string): Pattern {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- 40 ms that most commands need not pay
  const { RE2JS } = require('re2js') as typeof import('re2js');
  return RE2JS.compile(pattern);
}
