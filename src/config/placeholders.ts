/** `{name}` in texts of the configuration: filled in at the moment of use. `${env:NAME}` is none. */
const PLACEHOLDER = /(?<!\$)\{([A-Za-z][A-Za-z0-9]*)\}/g;

/** Names of every placeholder in a value of the configuration, also in those within it. */
export function placeholdersOf(value: unknown): string[] {
  if (typeof value === 'string') return [...value.matchAll(PLACEHOLDER)].map(([, name]) => name!);
  if (value === null || typeof value !== 'object') return [];
  return Object.values(value).flatMap(placeholdersOf);
}

/** Fills a text in: `literal` is applied to what stands between the placeholders, once, and never to what is filled in. */
export function fillPlaceholders(
  text: string,
  literal: (text: string) => string,
  value: (name: string) => string,
): string {
  return text
    .split(PLACEHOLDER)
    .map((part, index) => (index % 2 === 0 ? literal(part) : value(part)))
    .join('');
}

/** The name of the placeholder that a text is and nothing else; undefined where there is more, or none. */
export function onlyPlaceholder(text: string): string | undefined {
  const [match] = text.matchAll(PLACEHOLDER);
  return match?.[0] === text ? match[1] : undefined;
}
