import { z } from 'zod';
import type { Alert } from '../../src/contract/alert';
import { compileRoutes, planRun, type Route } from '../../src/alerts/routing';
import { inputSchema } from '../../src/catalogue/input-fields';
import { card } from '../../src/catalogue/card';
import { alertOf, configOf } from './intake-support';

export type RouteConfig = Record<string, unknown>;

export const configWith = (...routes: RouteConfig[]) =>
  configOf({
    routes: routes.map((route, index) => ({
      name: `route-${index}`,
      match: { 'labels.name': 'BackupOld' },
      runbook: 'checkBackups',
      input: { service: 'booking' },
      ...route,
    })),
  });

export const planned = (alert: Partial<Alert>, route: RouteConfig = {}) => {
  const config = configWith(route);
  return planRun(config, compileRoutes(config)[0]!, alertOf(alert));
};

/** A runbook with fields of every type. */
const everyType = card({
  name: 'everyType',
  title: 'Every type',
  area: 'application',
  priority: 'P3',
  symptoms: [],
  impact: '',
  diagnosis: [],
  resolution: [],
  prevention: [],
  escalation: [],
  changes: 'nothing',
  input: {
    text: z.string().max(20).optional(),
    name: z
      .string()
      .regex(/^[a-z]+$/)
      .max(5)
      .optional(),
    count: z.number().optional(),
    whole: z.int().optional(),
    force: z.boolean().optional(),
    words: z.array(z.string()).optional(),
    nested: z.object({ count: z.number().optional(), word: z.string().optional() }).optional(),
    severity: z.string().optional(),
  },
  example: { service: 'booking' },
});

export const filled = (
  input: Record<string, unknown>,
  alert: Partial<Alert> = {},
  more: RouteConfig = {},
) => {
  const config = configWith({ input: { service: 'booking', ...input }, ...more });
  const route: Route = {
    config: config.alerts.routes[0]!,
    card: everyType,
    matchers: [],
    shape: inputSchema(everyType),
  };
  return planRun(config, route, alertOf(alert));
};
