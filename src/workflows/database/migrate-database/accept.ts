/** What a run may be told to accept: a rule, of every file or of one. */

/** Rules of our own. The first three stop a migration, as what cannot be parsed does; the others are in the plan anyway. */
export const OWN_RULES: readonly string[] = [
  'data-loss',
  'table-rewrite',
  'schema-drift',
  'syntax-error',
  'applied-before',
  'down-destroys-data',
  'down-missing',
  'migration-command',
  'name-order',
  'out-of-order',
  'several-locks',
  'unfinished',
  'whole-table-update',
];

/** Rules of Squawk. Most of them are advice, and accepting advice changes nothing. */
export const LINT_RULES: readonly string[] = [
  'adding-field-with-default',
  'adding-foreign-key-constraint',
  'adding-not-nullable-field',
  'adding-required-field',
  'adding-serial-primary-key-field',
  'ban-alter-domain-with-add-constraint',
  'ban-char-field',
  'ban-concurrent-index-creation-in-transaction',
  'ban-create-domain-with-constraint',
  'ban-drop-column',
  'ban-drop-database',
  'ban-drop-not-null',
  'ban-drop-table',
  'ban-truncate-cascade',
  'ban-uncommitted-transaction',
  'changing-column-type',
  'constraint-missing-not-valid',
  'disallowed-unique-constraint',
  'identifier-too-long',
  'prefer-bigint-over-int',
  'prefer-bigint-over-smallint',
  'prefer-identity',
  'prefer-repack',
  'prefer-robust-stmts',
  'prefer-text-field',
  'prefer-timestamp-tz',
  'renaming-column',
  'renaming-table',
  'require-concurrent-index-creation',
  'require-concurrent-index-deletion',
  'require-concurrent-partition-detach',
  'require-concurrent-reindex',
  'require-enum-value-ordering',
  'require-lock-timeout',
  'require-statement-timeout',
  'require-table-schema',
  'require-timeout-settings',
  'transaction-nesting',
];

export const ACCEPTABLE_RULES: readonly string[] = [...OWN_RULES, ...LINT_RULES];

export interface Accepted {
  /** Name of the migration, or path of its script; undefined: of every one. */
  file?: string;
  rule: string;
}

/** `data-loss`, or `2026_11_01_x.sql:data-loss`. */
export function parseAccepted(text: string): Accepted {
  const colon = text.lastIndexOf(':');
  return colon < 0 ? { rule: text } : { file: text.slice(0, colon), rule: text.slice(colon + 1) };
}

/** Migrations, or their scripts, that are named in it. */
export function mentionedIn(accept: readonly string[]): string[] {
  return accept.map(parseAccepted).flatMap(({ file }) => file ?? []);
}

/** Whether a rule is accepted for a migration, which is known by any of these names. */
export function isAccepted(
  accept: readonly string[],
  rule: string,
  names: readonly (string | undefined)[],
): boolean {
  return accept
    .map(parseAccepted)
    .some((one) => one.rule === rule && (one.file === undefined || names.includes(one.file)));
}
