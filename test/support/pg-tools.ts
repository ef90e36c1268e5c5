import { chmodSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A folder with the real PostgreSQL programs, some of them behind a shell script: `before` runs first and may exit.
 * Returns the folder, for `postgresBin`.
 */
export function wrapTools(parent: string, real: string, before: Record<string, string>): string {
  const folder = mkdtempSync(join(parent, 'bin-'));
  chmodSync(folder, 0o755);
  for (const name of readdirSync(real)) {
    const script = before[name];
    if (script === undefined) symlinkSync(join(real, name), join(folder, name));
    else
      writeFileSync(join(folder, name), `#!/bin/sh\n${script}\nexec ${join(real, name)} "$@"\n`, {
        mode: 0o755,
      });
  }
  return folder;
}
