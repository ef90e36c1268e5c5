import { useEnvironment, withKit } from './harness';

const env = useEnvironment();

it('what a run launched is told by the next one, and goes on where the run is cancelled', () =>
  withKit(env, async (kit) => {
    kit.world.policy = { mode: 'auto' };
    const start = (parts: string) => kit.start('leaving', undefined, { parts });
    const launched = (detail: string) => (status: { timeline: { detail?: string }[] }) =>
      status.timeline.some((entry) => entry.detail === `holder/booking/other ${detail}`);
    const first = await start('launch wait');
    await kit.until(first, launched('was started'));
    const other = env.client.workflow.getHandle('holder/booking/other');
    await kit.until(await start('launch'), launched('is open, and was told'));
    await kit.until(other, ({ timeline }) => timeline.some(({ detail }) => detail === 'once more'));

    await first.cancel();
    expect((await kit.settled(first)).outcome).toBe('CANCELLED');
    const { events } = await first.fetchHistory();
    const asked = (events ?? []).filter(
      (event) => event.requestCancelExternalWorkflowExecutionInitiatedEventAttributes,
    );
    expect(asked).toEqual([]);
    expect((await other.describe()).status.name).toBe('RUNNING');
    await other.cancel();
    await kit.settled(other);
  }));
