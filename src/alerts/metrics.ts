import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { AlertResult } from './intake';

/** What became of an alert, or of a request that got no further. */
export type Counted = AlertResult | 'replayed' | 'refused' | 'bad' | 'limited' | 'unavailable';

const RESULTS: Record<Counted, true> = {
  started: true,
  repeat: true,
  resolved: true,
  unmatched: true,
  invalid_input: true,
  replayed: true,
  refused: true,
  bad: true,
  limited: true,
  unavailable: true,
};

/** What the intake counts. Sources are those of the configuration, and `unknown`: strangers cannot add to them. */
export function createAlertMetrics(registry: Registry, sources: string[] = []) {
  const registers = [registry];
  const results = new Counter({
    name: 'runbooks_alerts_total',
    help: 'Alerts by what became of them (started, repeat, resolved, unmatched, invalid_input, unavailable), and requests whose alerts were not looked at (replayed, refused, bad, limited, unavailable)',
    labelNames: ['source', 'result'],
    registers,
  });
  // Prometheus sees an increase only from a number that was there before.
  for (const source of [...sources, 'unknown'])
    for (const result of Object.keys(RESULTS)) results.inc({ source, result }, 0);
  const seconds = new Histogram({
    name: 'runbooks_alert_request_seconds',
    help: 'From the request to its answer',
    labelNames: ['source'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  const inFlight = new Gauge({
    name: 'runbooks_alerts_in_flight',
    help: 'Requests being dealt with',
    registers,
  });
  const repeats = new Counter({
    name: 'runbooks_alert_repeats_total',
    help: 'Alerts that a run already stood for',
    registers,
  });
  return {
    count(source: string, result: Counted): void {
      results.inc({ source, result });
      if (result === 'repeat') repeats.inc();
    },
    begin: () => inFlight.inc(),
    end(source: string, tookSeconds: number): void {
      inFlight.dec();
      seconds.observe({ source }, tookSeconds);
    },
  };
}

export type AlertMetrics = ReturnType<typeof createAlertMetrics>;
