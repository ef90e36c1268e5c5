import type { ClientBase } from 'pg';
import type { ScriptFile } from './script-files';

/**
 * The scripts of what is applied lie beside their ledger rows: a file that is edited or lost later, or another host that
 * never had it, must not take the way back away.
 */
export async function keepScripts(client: ClientBase, scripts: ScriptFile[]): Promise<void> {
  for (const { sha256, name, content } of scripts)
    await client.query(
      `INSERT INTO durable_runbooks.script (sha256, file, content) VALUES ($1, $2, $3) ON CONFLICT (sha256) DO NOTHING`,
      [sha256, name, content],
    );
}

/** The script of that hash; undefined where it was never kept here. */
export async function findKeptScript(client: ClientBase, sha256: string): Promise<ScriptFile | undefined> {
  const { rows: found } = await client.query<{ there: boolean }>(
    `SELECT to_regclass('durable_runbooks.script') IS NOT NULL AS there`,
  );
  if (found[0]?.there !== true) return undefined;
  const { rows } = await client.query<ScriptFile>(
    'SELECT file AS name, content, sha256 FROM durable_runbooks.script WHERE sha256 = $1',
    [sha256],
  );
  return rows[0];
}
