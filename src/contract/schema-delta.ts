/** What became of the schema between two fingerprints of the same database. */
export function schemaDelta(before: SchemaFingerprint, after: SchemaFingerprint): SchemaDelta {
  const added: Record<string, string> = {};
  const changed: string[] = [];
  for (const [identity, hash] of Object.entries(after.objects)) {
    const was = before.objects[identity];
    if (was === undefined) added[identity] = hash;
    else if (was !== hash) changed.push(identity);
  }
  const removed = Object.keys(before.objects).filter((identity) => !(identity in after.objects));
  return { added, removed: removed.sort(), changed: changed.sort() };
}

/**
 * Where the actual delta differs from the rehearsed one, in words. Deltas and not schemas are compared: PostgreSQL
 * deparses some old definitions differently after a restore, though nothing is wrong with them.
 */
export function deltasAgree(rehearsed: SchemaDelta, actual: SchemaDelta): string[] {
  const differences = [
    ...compareNames('added', Object.keys(rehearsed.added), Object.keys(actual.added)),
    ...compareNames('removed', rehearsed.removed, actual.removed),
    ...compareNames('changed', rehearsed.changed, actual.changed),
  ];
  for (const [identity, hash] of Object.entries(rehearsed.added)) {
    const here = actual.added[identity];
    if (here !== undefined && timelessOf(here) !== timelessOf(hash))
      differences.push(`${identity} was added with another definition than rehearsed`);
  }
  return differences;
}

/** What was added as rehearsed but for a moment in it that the server wrote down when it was made, as `DEFAULT 'now'` does. */
export function momentsIn(rehearsed: SchemaDelta, actual: SchemaDelta): string[] {
  return Object.entries(rehearsed.added).flatMap(([identity, hash]) => {
    const here = actual.added[identity];
    return here !== undefined && here !== hash && timelessOf(here) === timelessOf(hash) ? [identity] : [];
  });
}

/** Hash of a definition, with that of the same definition without the dates and times in it. */
export function withTimeless(hash: string, timeless: string): string {
  return `${hash}~${timeless}`;
}

function timelessOf(hash: string): string {
  return hash.split('~').at(-1)!;
}

/** Where another database's schema differs in what exists, and in the types of columns. Definitions that are only deparsed are not compared. */
export function compareSchemas(live: SchemaFingerprint, other: SchemaFingerprint): string[] {
  const { added, removed, changed } = schemaDelta(live, other);
  return [
    ...Object.keys(added)
      .filter(counts)
      .map((identity) => `${identity} exists only there`),
    ...removed.filter(counts).map((identity) => `${identity} is missing there`),
    ...changed
      .filter((identity) => identity.startsWith('column '))
      .map((identity) => `${identity} is different`),
  ];
}

// Who may do what, which extensions help, what is said, set and replicated, and where files lie differ between environments on purpose.
function counts(identity: string): boolean {
  return !/^(grant|default privileges|extension|comment|security label|setting|tablespace|collation version|publication|subscription|server|user mapping|order of columns|inheritance) /.test(
    identity,
  );
}

/** Whether this is about the order of columns only. */
export function isOrder(identity: string): boolean {
  return identity.startsWith('order of columns ');
}

/** Names of everything in a delta. */
export function touched({ added, removed, changed }: SchemaDelta): string[] {
  return [...Object.keys(added), ...removed, ...changed];
}

function compareNames(verb: string, rehearsed: string[], actual: string[]): string[] {
  return [
    ...rehearsed
      .filter((identity) => !actual.includes(identity))
      .map((identity) => `${identity} was not ${verb}, as it was in the rehearsal`),
    ...actual
      .filter((identity) => !rehearsed.includes(identity))
      .map((identity) => `${identity} was ${verb}, unlike in the rehearsal`),
  ];
}
/** Object identity -> short hash of its definition (`withTimeless` where it has dates in it); columns, constraints and indexes count as objects. */
export interface SchemaFingerprint {
  digest: string;
  objects: Record<string, string>;
}

export interface SchemaDelta {
  added: Record<string, string>;
  removed: string[];
  changed: string[];
}
