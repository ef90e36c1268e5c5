import { countOf } from './text';

/** Something that was in a database and is not any more, or not as it was. */
export interface Lost {
  kind: 'table' | 'column' | 'rows' | 'values' | 'sequence' | 'large objects';
  /** `schema.table`, `schema.table.column`, or the columns of a table whose values are others now. */
  what: string;
  /** Rows of a table, values of a column, rows whose values may be others; null where that is not known. */
  count: number | null;
}

/** What became of the contents of a database between two looks at it. */
export interface ContentsDelta {
  lost: Lost[];
  /** Lost beyond those, which are not listed. */
  more: number;
  /** What came to it, as `12 rows in public.plans`. */
  gained: string[];
}

/** What is in a table, or a column, that a migration has added. */
export interface Addition {
  /** Rows, or values that are not NULL. */
  count: number;
  /** Sum of the hashes of them. */
  digest: string;
}

/** By the names that a schema delta has for them; null where nobody can tell in time. */
export type Additions = Record<string, Addition | null>;

/** The most of each kind that a delta lists. */
export const LISTED = 20;

/** `table public.a with 12 rows`, `800 values of column public.items.note`. */
export function describeLost({ kind, what, count }: Lost): string {
  switch (kind) {
    case 'table':
      return `table ${what} with ${countOf(count ?? 0, 'row')}`;
    case 'column':
      return `column ${what} with ${countOf(count ?? 0, 'value')}`;
    case 'rows':
      return `${countOf(count ?? 0, 'row')} of ${what}`;
    case 'values':
      return `the values of ${what}${count === null ? '' : ` in at most ${countOf(count, 'row')}`}`;
    case 'sequence':
      return `the numbers that sequence ${what} has given out`;
    case 'large objects':
      return 'large objects';
  }
}

/** The same for all of it; '' where nothing is lost. */
export function describeLosses({ lost, more }: Pick<ContentsDelta, 'lost' | 'more'>): string {
  const all = lost.map(describeLost);
  return [...all, ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

/** Whether everything that was there is there. */
export function isLossless({ lost }: ContentsDelta): boolean {
  return lost.length === 0;
}
