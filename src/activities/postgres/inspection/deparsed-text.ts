const NAME = String.raw`(?:"(?:[^"]|"")*"|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)`;
/** Types that are more than one word, and intervals of which only some fields are kept. */
const WORDS = String.raw`(?:character varying|double precision|bit varying|time(?:stamp)?(?:\(\d+\))? with(?:out)? time zone|interval(?: (?:year|month|day|hour|minute|second)(?: to (?:month|hour|minute|second))?)?)`;
const CAST = String.raw`::\s*(?:${WORDS}|${NAME}(?:\.${NAME})?)(?:\(\d+(?:,\s*-?\d+)?\))?(?:\[\])*`;
/** Literals and quoted names are kept as they are; casts, parentheses and blanks go. */
const TOKENS = new RegExp(String.raw`('(?:[^']|'')*'|"(?:[^"]|"")*")|${CAST}|[()\s]`, 'g');

/**
 * An expression, a query or a rule as PostgreSQL deparses it, without what it writes differently after a dump and a
 * restore although it means the same: where it puts casts and parentheses.
 */
export function withoutCasts(text: string): string {
  return text.replace(TOKENS, (_token, kept: string | undefined) => kept ?? '');
}
