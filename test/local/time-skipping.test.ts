import { createTimeSkippingEnvironment, releaseStuckClock, type Clock } from '../../src/local/time-skipping';

it('moves its clock also when the server has forgotten to let go of it', async () => {
  const env = await createTimeSkippingEnvironment(500);
  try {
    const { testService } = env.connection as unknown as {
      testService: { lockTimeSkipping(request: object): Promise<unknown> };
    };
    for (let forgotten = 0; forgotten < 3; forgotten += 1) await testService.lockTimeSkipping({});
    const began = await env.currentTimeMs();
    await env.sleep('1 day');
    expect((await env.currentTimeMs()) - began).toBeGreaterThanOrEqual(86_400_000);
  } finally {
    await env.teardown();
  }
});

it.each<[string, number, boolean]>([
  ['is taken off a clock that skips nothing', 1, true],
  ['stays on a clock that goes on skipping, however long somebody waits', 3_600_000, false],
])('a lock %s', async (_, skipsEachMs, released) => {
  const unlocks: number[] = [];
  const began = Date.now();
  const clock: Clock = {
    connection: { testService: { unlockTimeSkipping: async () => unlocks.push(Date.now()) } },
    client: { workflow: { result: async () => new Promise((resolve) => setTimeout(resolve, 1_000)) } },
    sleep: async () => undefined,
    currentTimeMs: async () => (Date.now() - began) * skipsEachMs,
  };
  releaseStuckClock(clock, 100);
  await clock.client.workflow.result();
  expect(unlocks.length > 0).toBe(released);
});
