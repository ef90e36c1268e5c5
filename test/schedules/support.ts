import type { WithCatalogue } from '../../src/catalogue/catalogue';
import { configSchema, type Config } from '../../src/config/schema';
import { ownCatalogue } from '../../src/packs/own';

export type ScheduleConfigs = Config & WithCatalogue;

/** A configuration with one service and these schedules. */
export function configWith(schedules: Record<string, unknown>, taskQueue = 'runbooks'): ScheduleConfigs {
  const database = {
    url: '${env:SHOP_URL}',
    identity: { systemIdentifier: '7300000000000000001', database: 'shop' },
  };
  const config = configSchema.parse({
    temporal: { taskQueue },
    services: { shop: { environments: { production: { database } }, approval: { fourEyes: true } } },
    schedules,
  });
  return { ...config, catalogue: ownCatalogue };
}

/** A schedule that is right, with what the test wants otherwise. */
export function backup(more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    runbook: 'backUpDatabase',
    input: { service: 'shop' },
    cron: '15 4 * * *',
    timeZone: 'Europe/Berlin',
    jitterMinutes: 0,
    ...more,
  };
}
