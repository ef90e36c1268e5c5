import { suggestion } from '../../../config/problem-text';
import { parseAccepted } from '../../../contract/accept';
import { fail } from '../../support/failure';
import type { MigrationFolder } from './script-files';

/** What is accepted of one file must name one that there is. Throws InvalidInput. */
export function refuseUnknownFiles({ migrations }: MigrationFolder, accept: string[]): void {
  const known = migrations.flatMap(({ name, up }) => (name === up ? [name] : [name, up]));
  for (const text of accept) {
    const { file } = parseAccepted(text);
    if (file === undefined || known.includes(file)) continue;
    throw fail(
      'InvalidInput',
      `accept: "${text}" is about ${file}, and there is no such migration${suggestion(file, known) || '.'} Nothing was changed.`,
    );
  }
}
