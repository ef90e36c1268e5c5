import type { Migration } from '../../../src/contract/migration';
import { describeSql } from '../../../src/workflows/database/migrate-database/sql-text';

const of = (up: string, down: string | null, count = 1) =>
  describeSql({ sql: { up, down } } as Migration, count);

describe('a plan of a migration', () => {
  it('shows its SQL, there and back', () => {
    expect(of('ALTER TABLE a', 'DROP TABLE b')).toEqual(['up: ALTER TABLE a', 'down: DROP TABLE b']);
    expect(of('ALTER TABLE a', null)).toEqual(['up: ALTER TABLE a', 'down: none']);
  });

  it('stays short enough to be read, and says where it goes on', () => {
    const long = 'SELECT 1; '.repeat(1_000);
    for (const count of [1, 2, 5]) {
      const lines = Array.from({ length: count }, () => of(long, long, count)).flat();
      expect(lines).toHaveLength(2 * count);
      for (const line of lines) expect(line).toMatch(/^(up|down): SELECT 1;.* …$/);
      expect(lines.join('').length).toBeLessThan(2_600);
    }
  });

  it('has none of what a tool applies, nor scraps of very many', () => {
    expect(describeSql({} as Migration, 1)).toEqual([]);
    expect(of('ALTER TABLE a', null, 50)).toEqual([]);
  });
});
