import { chmodSync, chownSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { createAuthority } from '../../../support/certificates';
import { runSql, type TestPostgres } from '../../../support/postgres';

/** The server has a certificate now, lets `strict` in with TLS only, and nobody but that role, `app` and its superuser. */
export async function demandTls(
  pg: TestPostgres,
): Promise<{ authority: string; admitAgain: () => Promise<void> }> {
  const [row] = await runSql<{ hba_file: string }>(pg.urlOf('postgres'), 'SHOW hba_file');
  const hba = row!.hba_file;
  const directory = mkdtempSync(join(pg.directory, 'tls-'));
  const { uid, gid } = statSync(hba);
  const pair = createAuthority(directory).sign('localhost');
  for (const [name, text] of Object.entries({ 'server.pem': pair.certificate, 'server.key': pair.key })) {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    chownSync(join(directory, name), uid, gid);
  }
  chmodSync(directory, 0o755);
  const before = readFileSync(hba, 'utf8');
  const superuser = new URL(pg.server.url).username;
  writeFileSync(hba, `host all ${superuser},app all scram-sha-256\nhostssl all strict all scram-sha-256\n`);
  const reload = async (sql: string[]) => {
    const client = new Client({ connectionString: pg.urlOf('postgres') });
    await client.connect();
    for (const one of [...sql, 'SELECT pg_reload_conf()']) await client.query(one);
    await client.end();
  };
  await reload([
    `ALTER SYSTEM SET ssl_cert_file = '${join(directory, 'server.pem')}'`,
    `ALTER SYSTEM SET ssl_key_file = '${join(directory, 'server.key')}'`,
    `ALTER SYSTEM SET ssl = on`,
  ]);
  return {
    authority: join(directory, 'ca.pem'),
    admitAgain: async () => {
      writeFileSync(hba, before);
      await reload(['ALTER SYSTEM RESET ssl']);
    },
  };
}
