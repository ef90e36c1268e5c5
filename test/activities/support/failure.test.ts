import { type ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { fail, mapError } from '../../../src/activities/support/failure';
import { resolveSecrets } from '../../../src/config/secrets';

const context = { action: 'count the rows', target: 'shop/production' };
const sqlError = (code: string, more: object = {}) =>
  Object.assign(new Error('it failed'), { code, ...more });

test.each([
  ['28P01', 'AuthenticationFailed', true],
  ['28000', 'AuthenticationFailed', true],
  ['3D000', 'WrongDatabase', true],
  ['25006', 'ReadOnlyDatabase', true],
  ['53100', 'OutOfDisk', true],
  ['53300', 'DatabaseUnreachable', false],
  ['57P01', 'DatabaseUnreachable', false],
  ['57P03', 'DatabaseUnreachable', false],
  ['08006', 'DatabaseUnreachable', false],
  ['55P03', 'LockTimeout', false],
  ['40P01', 'CommandFailed', false],
  ['40001', 'CommandFailed', false],
  ['42501', 'CommandFailed', true],
  ['57014', 'CommandFailed', true],
  ['42P01', 'CommandFailed', true],
])('SQLSTATE %s becomes %s', (code, type, nonRetryable) => {
  const mapped = mapError(sqlError(code), context) as ApplicationFailure;
  expect(mapped).toMatchObject({ type, nonRetryable });
  expect(mapped.message).toMatch(new RegExp(`count the rows.*shop/production.*${code}`));
});

test.each([
  [
    Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' }),
    'DatabaseUnreachable',
    false,
  ],
  [
    Object.assign(new Error('getaddrinfo ENOTFOUND nowhere'), { code: 'ENOTFOUND' }),
    'DatabaseUnreachable',
    false,
  ],
  [new Error('Connection terminated unexpectedly'), 'DatabaseUnreachable', false],
  [Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }), 'DatabaseUnreachable', false],
  [Object.assign(new Error('write'), { code: 'ENOSPC' }), 'OutOfDisk', true],
  [new Error('pg_dump: error: could not write to file: No space left on device'), 'OutOfDisk', true],
  [
    new Error(
      'pg_dump: error: server version: 17.1; pg_dump version: 15.2 | aborting because of server version mismatch',
    ),
    'ClientTooOld',
    true,
  ],
  [
    new Error('pg_dump: error: query failed: ERROR:  canceling statement due to lock timeout'),
    'LockTimeout',
    false,
  ],
  [
    new Error(
      'pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout | pg_dump: detail: Query was: LOCK TABLE public.a IN ACCESS SHARE MODE',
    ),
    'LockTimeout',
    false,
  ],
  [new Error('something else'), 'CommandFailed', true],
  ['a text', 'CommandFailed', true],
])('%s becomes %s', (error, type, nonRetryable) => {
  expect(mapError(error, context)).toMatchObject({ type, nonRetryable });
});

// What the client tools of PostgreSQL say of a server that goes away, or is not back yet.
test.each([
  'vacuumdb: error: processing of database "shop" failed: server closed the connection unexpectedly',
  'vacuumdb: error: connection to server at "127.0.0.1", port 5432 failed: FATAL:  the database system is in recovery mode',
  'pg_dumpall: error: connection to server at "127.0.0.1", port 5432 failed: FATAL:  the database system is not yet accepting connections | DETAIL:  Consistent recovery state has not been yet reached.',
  'pg_restore: error: could not connect to database "shop": FATAL:  the database system is starting up',
  'pg_restore: error: could not execute query: no connection to the server | Command was: ALTER TABLE a OWNER TO b;',
  'pg_restore: error: could not execute query: FATAL:  terminating connection due to administrator command',
  'pg_dump: error: Dumping the contents of table "a" failed: PQgetCopyData() failed. | pg_dump: detail: Error message from server: SSL connection has been closed unexpectedly',
  'pg_dump: error: connection to server on socket "/tmp/.s.PGSQL.5432" failed: Connection refused',
])('%s is tried again', (text) => {
  expect(mapError(new Error(text), { ...context, type: 'RestoreFailed' })).toMatchObject({
    type: 'DatabaseUnreachable',
    nonRetryable: false,
  });
});

test('what is a failure or a cancellation already stays what it is', () => {
  const failure = fail('FenceBusy', 'busy', { retryable: true });
  expect(mapError(failure, context)).toBe(failure);
  const cancelled = new CancelledFailure('stop');
  expect(mapError(cancelled, context)).toBe(cancelled);
});

test('position, hint and detail are kept for people', () => {
  const mapped = mapError(
    sqlError('42703', { position: '8', hint: 'Perhaps you meant id.' }),
    context,
  ) as ApplicationFailure;
  expect(mapped.details).toEqual([{ sqlState: '42703', position: '8', hint: 'Perhaps you meant id.' }]);
  expect(mapped.message).toContain('Perhaps you meant id.');
});

test('no secret leaves in a message, a hint or a cause', () => {
  resolveSecrets('postgresql://app:very-secret-1@db/shop', '/');
  const mapped = mapError(
    sqlError('42601', { hint: 'very-secret-1', message: 'at postgresql://app:very-secret-1@db/shop' }),
    context,
  );
  expect(JSON.stringify({ ...mapped, message: mapped.message, cause: mapped.cause })).not.toContain(
    'very-secret-1',
  );
});

test('a violated constraint is named without the row that it quotes', () => {
  const error = sqlError('23514', {
    detail: 'Failing row contains (7, ann@example.test).',
    table: 'bookings',
    constraint: 'bookings_check',
  });
  const { message, details } = mapError(error, context) as ApplicationFailure;
  expect(details).toEqual([{ sqlState: '23514', table: 'bookings', constraint: 'bookings_check' }]);
  expect(message).not.toContain('example.test');
});
