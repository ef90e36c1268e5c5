import { runActivity, runSql } from '../../../support/postgres';
import { duringTests } from '../../../support/stand-in';
import { openSessions, startSessionServer, type Sessions } from './connections-fixtures';

const pg = duringTests(startSessionServer);
const read = ({ activities, db }: Sessions) => runActivity(activities.readConnections, db.place);

it('names the role that has most of the connections without a limit, and the statement that sets one', async () => {
  const sessions = await openSessions(pg, 'runbooks', {});
  await Promise.all([1, 2, 3, 4].map(() => sessions.open('shop_app', 'pool')));
  expect((await read(sessions)).unlimited).toBeNull();
  const limit = (to: number) => runSql(pg.urlOf('postgres'), `ALTER ROLE shop_app CONNECTION LIMIT ${to}`);
  try {
    for (const former of [-1, 37]) {
      await limit(former);
      const { unlimited, limits } = await read(sessions);
      const { used } = limits.find(({ name }) => name === 'server')!;
      // Ten stay free for people.
      const wanted = 37 - (used - 4) - 10;
      expect(unlimited).toEqual({
        ...{ role: 'shop_app', used: 4, limit: wanted },
        statement: `ALTER ROLE shop_app CONNECTION LIMIT ${wanted}`,
        wayBack: `ALTER ROLE shop_app CONNECTION LIMIT ${former}`,
      });
    }
  } finally {
    await sessions.close();
    await limit(20);
  }
});
