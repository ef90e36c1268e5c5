import type { AlertRouteConfig } from '../config/alert-schema';
import { compilePattern } from '../config/pattern';

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
