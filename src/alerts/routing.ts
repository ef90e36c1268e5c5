import { createHash } from 'node:crypto';
import { inputSchema } from '../catalogue/input-fields';
import { incidentOf } from '../activities/incidents/settings';
import type { AlertRouteConfig } from '../config/alert-schema';
import type { Severity } from '../contract/modes';
import type { Config } from '../config/schema';
import type { WithCatalogue } from '../catalogue/catalogue';
import type { Card } from '../catalogue/card';
import type { Alert } from '../contract/alert';
import { readField } from './field';
import { inputProblems } from '../catalogue/input-problems';
import { compileMatcher, type Matcher } from './matcher';
import { fill, type Shape } from './template';

/** A route of the configuration, ready to be asked. */
export interface Route {
  config: AlertRouteConfig;
  card: Card;
  matchers: Matcher[];
  /** What types the runbook wants. */
  shape: Shape;
}

/** What a route says about an alert: that it matches, or the first matcher that does not hold. */
export interface RouteVerdict {
  route: string;
  failed?: { field: string; wanted: string; got: string | undefined };
}

/** The run that an alert belongs to. */
export interface PlannedRun {
  route: string;
  runbook: string;
  /** Undefined where the alert does not lead to a service that is configured. */
  workflowId: string | undefined;
  /** For people: in Temporal's list of runs. */
  summary: string;
  /** The ID may be used again once the run has ended, because nothing in it says which episode it is. */
  repeatable: boolean;
  /** Several alerts have this run in common. */
  grouped: boolean;
  /** People lead it: while it is open it takes in every alert of its fingerprint or group, whenever that began. */
  lasting: boolean;
  severity: Severity;
  input: Record<string, unknown>;
  /** Why the run would refuse the input; then it is not started. */
  problems: string[];
}

/** Compiles the routes once. The configuration was checked: see check/routes.ts. */
export function compileRoutes(config: Config & WithCatalogue): Route[] {
  return config.alerts.routes.map((route) => {
    const card = config.catalogue.cardOf(route.runbook);
    if (card === undefined) throw new Error(`route ${route.name}: there is no runbook "${route.runbook}"`);
    return {
      config: route,
      card,
      matchers: Object.entries(route.match).map(([field, matcher]) => compileMatcher(field, matcher)),
      shape: inputSchema(card),
    };
  });
}

/** Whether a route takes an alert, and if not, why. */
export function judge({ config, matchers }: Route, alert: Alert): RouteVerdict {
  // The end of an alert must find the route that its beginning took.
  const asBegun: Alert = { ...alert, status: 'firing' };
  for (const { field, wanted, holds } of matchers) {
    const got = readField(asBegun, field);
    if (!holds(got)) return { route: config.name, failed: { field, wanted, got } };
  }
  return { route: config.name };
}

/** The first route whose matchers all hold. */
export function routeOf(routes: Route[], alert: Alert): Route | undefined {
  return routes.find((route) => judge(route, alert).failed === undefined);
}

/** The run of an alert that this route takes. */
export function planRun(config: Config, { config: route, card, shape }: Route, alert: Alert): PlannedRun {
  const input = fill(route.input, shape, (field) => readField(alert, field)) as Record<string, unknown>;
  const service = typeof input['service'] === 'string' ? input['service'] : '';
  const severity = severityOf(config, service, route, alert);
  if ('severity' in card.input.shape) input['severity'] ??= severity;
  Object.assign(input, { alert, startedBy: `alert:${alert.source}` });
  if (route.mode !== undefined) input['mode'] = route.mode;
  const known = Object.hasOwn(config.services, service);
  const lasting = card.coordinates === true;
  return {
    route: route.name,
    runbook: card.name,
    workflowId: known ? workflowIdOf(card, service, route, alert) : undefined,
    summary: alert.title,
    repeatable: lasting || alert.startsAt === null || route.group.length > 0,
    grouped: route.group.length > 0,
    lasting,
    severity,
    input,
    problems: inputProblems(card, config, input),
  };
}

/** The same alert since the same time, or the same group of alerts, is the same run. */
function workflowIdOf(
  { name: runbook, coordinates }: Card,
  service: string,
  { name, group }: AlertRouteConfig,
  alert: Alert,
) {
  const { source, fingerprint, startsAt } = alert;
  const key =
    group.length === 0
      ? [source, name, fingerprint, coordinates === true ? null : startsAt]
      : [name, group.map((field) => readField(alert, field) ?? null)];
  // As JSON, because no separator is one that a fingerprint cannot contain.
  const hash = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 16);
  return `${runbook}/${service}/alert-${hash}`;
}

function severityOf(config: Config, service: string, route: AlertRouteConfig, alert: Alert): Severity {
  if (route.severity !== undefined) return route.severity;
  if (!Object.hasOwn(config.services, service)) return 'P2';
  const { severities, defaultSeverity } = incidentOf(config.services[service]!);
  const found = Object.hasOwn(severities, alert.severity) ? severities[alert.severity] : undefined;
  return found ?? defaultSeverity;
}
