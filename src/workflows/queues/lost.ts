import { causeOf, type Run } from '../kit';

/** Runs `body`; jobs that are gone are said to people at once. */
export async function orLost(run: Run, service: string, body: () => Promise<string>): Promise<string> {
  try {
    return await body();
  } catch (error) {
    const { type, message } = causeOf(error);
    if (type === 'QueueDataLost') await run.page(`${service}: ${message}`, { severity: 'P0' });
    throw error;
  }
}
