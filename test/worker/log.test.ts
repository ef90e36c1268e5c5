import { Runtime, type RuntimeOptions } from '@temporalio/worker';
import { logBriefly } from '../../src/worker/log';

afterEach(() => jest.restoreAllMocks());

it('what a failed step says is one line of a log, and nothing that acts on a terminal', () => {
  let options: RuntimeOptions | undefined;
  jest.spyOn(Runtime, 'install').mockImplementation((given) => (options = given) as unknown as Runtime);
  const written = jest.spyOn(console, 'error').mockImplementation(() => undefined);
  logBriefly('ERROR');
  options!.logger!.error('Activity failed', {
    workflowId: 'migrateDatabase/1',
    error: new Error('\u001b[2Jno\u202e\u009b31m\u0007 room'),
  });
  expect(written.mock.calls).toEqual([
    [expect.stringMatching(/Z ERROR Activity failed migrateDatabase\/1 no room$/)],
  ]);
});
