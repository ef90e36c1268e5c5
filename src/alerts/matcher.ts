import type { RE2JS as Pattern } from 're2js';
import type { AlertRouteConfig } from '../config/alert-schema';

type MatcherConfig = AlertRouteConfig['match'][string];

/** One condition of a route, ready to be asked. */
export interface Matcher {
  field: string;
  /** For people, e.g. `"critical"` or `absent`. */
  wanted: string;
  holds(value: string | undefined): boolean;
}

/** Throws RE2JSSyntaxException for a pattern that is none. */
export function compileMatcher(field: string, config: MatcherConfig): Matcher {
  if (typeof config === 'string') {
    return { field, wanted: JSON.stringify(config), holds: (value) => value === config };
  }
  if ('absent' in config) return { field, wanted: 'absent', holds: (value) => value === undefined };
  const pattern = compilePattern(config.regex);
  return {
    field,
    wanted: `/${config.regex}/`,
    holds: (value) => value !== undefined && pattern.testExact(value),
  };
}

/**
 * RE2 and not JavaScript's own: it takes linear time whatever the pattern and the value are, and its syntax is that of
 * Alertmanager's routes. Loaded when a route has a pattern.
 */
function compilePattern(regex: string): Pattern {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- 40 ms that most commands need not pay
  const { RE2JS } = require('re2js') as typeof import('re2js');
  return RE2JS.compile(regex);
}
