import type { RE2JS as Pattern } from 're2js';

/** Whether the whole of `value` matches. Throws for a pattern that is none. */
export function matches(pattern: string, value: string): boolean {
  return compilePattern(pattern).testExact(value);
}

/** Why a pattern cannot be used, undefined when it can. */
export function patternProblem(pattern: string): string | undefined {
  try {
    compilePattern(pattern);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * RE2 and not JavaScript's own: it takes linear time whatever the pattern and the value are, and its syntax is that of
 * Alertmanager's routes. Loaded when there is a pattern. Throws RE2JSSyntaxException for one that is none.
 */
export function compilePattern(pattern: string): Pattern {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- 40 ms that most commands need not pay
  const { RE2JS } = require('re2js') as typeof import('re2js');
  return RE2JS.compile(pattern);
}
