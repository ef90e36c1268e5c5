import { proxyActivities } from '@temporalio/workflow';

const { nothing } = proxyActivities<{ nothing(): Promise<void> }>({ startToCloseTimeout: '10s' });

export async function fiveActivities(): Promise<void> {
  for (let i = 0; i < 5; i++) await nothing();
}
