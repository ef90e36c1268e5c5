import { createTimeSkippingEnvironment } from '../../src/local/time-skipping';

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
