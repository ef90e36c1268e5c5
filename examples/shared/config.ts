import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isPair, parseDocument, visit, type Document, type Scalar, type YAMLMap } from 'yaml';
import { urlFor, withClient } from './database';
import { exampleFile, exampleProgram } from './files';

export interface WrittenConfig {
  example: string;
  /** URL of a superuser of the cluster that carries its databases. */
  adminUrl: string;
  /** Gets runbooks.yaml, and `backups/` closed to others. */
  directory: string;
}

/** Writes an example's runbooks.yaml, comments included, with what is known only here. Returns its path. */
export async function writeConfig({ example, adminUrl, directory }: WrittenConfig): Promise<string> {
  mkdirSync(join(directory, 'backups'), { recursive: true, mode: 0o700 });
  const config = parseDocument(readFileSync(exampleFile(example, 'runbooks.yaml'), 'utf8'));
  completeIdentities(config, await systemIdentifier(adminUrl));
  completePrograms(config);
  const file = join(directory, 'runbooks.yaml');
  writeFileSync(file, config.toString({ lineWidth: 110, flowCollectionPadding: false }));
  return file;
}

async function systemIdentifier(adminUrl: string): Promise<string> {
  return withClient(urlFor(adminUrl, 'postgres'), async (admin) => {
    const { rows } = await admin.query<{ id: string }>(
      'SELECT system_identifier::text AS id FROM pg_control_system()',
    );
    return rows[0]!.id;
  });
}

/** All databases of an example lie in one cluster. */
function completeIdentities(config: Document, identifier: string): void {
  for (const service of keysOf(config.getIn(['services'])))
    for (const environment of keysOf(config.getIn(['services', service, 'environments']))) {
      const path = ['services', service, 'environments', environment, 'database', 'identity'];
      if (config.hasIn(path)) config.setIn([...path, 'systemIdentifier'], identifier);
    }
}

function keysOf(node: unknown): string[] {
  if (!isMap(node)) return [];
  return (node as YAMLMap).items.filter(isPair).map(({ key }) => String((key as Scalar).value));
}

const PROGRAM = /^dist\/examples\/([\w-]+)\/(.+\.js)$/;

/** `node dist/examples/booking/x.js` works only from the folder of the package: both become full paths. */
function completePrograms(config: Document): void {
  visit(config, {
    Seq: (_, { items }) => {
      const [, example, program] = PROGRAM.exec(String((items[1] as Scalar | undefined)?.value)) ?? [];
      if (example === undefined || program === undefined) return;
      (items[0] as Scalar).value = process.execPath;
      (items[1] as Scalar).value = exampleProgram(example, program);
    },
  });
}
