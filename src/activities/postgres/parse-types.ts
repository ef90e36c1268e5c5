/** What the parser says of a migration script; made by `parseScript`, used by reading, linting and applying. */

export interface ParsedStatement {
  /** The text without its semicolon and without comments before it. */
  sql: string;
  /** 1-based line of the file where the statement begins. */
  line: number;
  /** Offset of `sql` in the file, in UTF-16 units. */
  offset: number;
  /** Node type of the parser, e.g. `AlterTableStmt`, `IndexStmt`, `VacuumStmt`. */
  node: string;
  /** False for what refuses to run inside a transaction: CREATE INDEX CONCURRENTLY, VACUUM ... */
  transactional: boolean;
  /** Takes a lock on an existing relation that blocks readers or writers. */
  locks: boolean;
  /** Rewrites a whole table while it is locked. */
  rewrites: boolean;
  /** DROP of something with data, DELETE, UPDATE, TRUNCATE. */
  destroysData: boolean;
  /** Index that CREATE INDEX or REINDEX CONCURRENTLY makes. */
  index?: {
    schema: string | null;
    name: string;
    table: string | null;
    concurrent: boolean;
    kind: 'create' | 'reindex';
  };
}

export interface ParsedScript {
  statements: ParsedStatement[];
  /** Header comment `-- runbooks: split`: one transaction per statement instead of one for the file. */
  split: boolean;
  /** Every statement may run inside a transaction. */
  transactional: boolean;
}
