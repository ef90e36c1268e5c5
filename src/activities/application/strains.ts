import { environmentOf } from '../../config/load';
import type { Place } from '../../contract/place';
import { createObserveActivities, type Measured } from '../observe/measure';
import type { ActivityDeps } from '../support/deps';

/** What customers notice beside errors: answers that come late, and work that waits. */
const NOTICED = ['latency-p95', 'latency-p99', 'queue-delay', 'queue-failed-share', 'search-lag'];

/**
 * Measures those of them that are configured. A strain is one that is worse than information, or that is not known.
 */
export async function readStrains(
  deps: ActivityDeps,
  { service, environment }: Place,
): Promise<{ measured: Measured[]; strains: Measured[] }> {
  const configured = environmentOf(deps.config, service, environment).observe?.measures ?? {};
  const names = NOTICED.filter((name) => name in configured);
  if (names.length === 0) return { measured: [], strains: [] };
  const measured = await createObserveActivities(deps).measure({ service, environment, names });
  return { measured, strains: measured.filter(({ ok, band }) => !ok && band !== 'info') };
}
