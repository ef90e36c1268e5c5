import type { ClientBase } from 'pg';
import type { Fence } from '../../../contract/place';

/**
 * What the holder of a token builds or drops: what is not written down was done by somebody else, and is not taken back.
 * Written before the change, which no transaction can hold together with it. `index` is qualified and quoted.
 */
export function claimOf(client: ClientBase, { target, token }: Fence, index: string, kind: 'build' | 'drop') {
  const key = [target, token, index, kind];
  const where = 'target = $1 AND token = $2 AND name = $3 AND kind = $4';
  return {
    async claim(): Promise<void> {
      await client.query(
        'INSERT INTO durable_runbooks.index_claim (target, token, name, kind) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING',
        key,
      );
    },
    async disclaim(): Promise<void> {
      await client.query(`DELETE FROM durable_runbooks.index_claim WHERE ${where}`, key);
    },
    async isClaimed(): Promise<boolean> {
      const { rowCount } = await client.query(`SELECT FROM durable_runbooks.index_claim WHERE ${where}`, key);
      return rowCount !== 0;
    },
  };
}
