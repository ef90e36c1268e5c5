import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { VERSION } from '../config/version';

/**
 * What one process tells Prometheus: its own memory, CPU and event loop, and whatever is registered in it. The names of
 * ours begin with `runbooks_`. One per server, not one per process, because tests run several in one.
 */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'runbooks_build_info',
    help: 'Always 1; the version is a label',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version: VERSION }, 1);
  return registry;
}
