import { inputSchema } from '../catalogue/input-fields';
import type { AlertRouteConfig } from '../config/alert-schema';
import type { Config } from '../config/schema';
import type { WithCatalogue } from '../catalogue/catalogue';
import type { Card } from '../catalogue/card';
import { FIELD_NAMES, isAlertField } from '../alerts/field';
import { inputProblems } from '../catalogue/input-problems';
import { suggestion } from '../config/problem-text';
import { compileMatcher } from '../alerts/matcher';
import { fill, placeholdersIn, type Read } from '../alerts/template';

/** Problems of the alert routes that only the runbooks' own schemas, and the other parts of the file, show. */
export function checkRoutes(config: Config & WithCatalogue): string[] {
  const { routes } = config.alerts;
  return routes.flatMap((route, index) => {
    const twice = routes.findIndex(({ name }) => name === route.name) !== index;
    const problems = [
      ...(twice ? ['name: another route has it'] : []),
      ...Object.entries(route.match).flatMap(([field, matcher]) => checkMatcher(config, field, matcher)),
      ...route.group.filter((field) => !isAlertField(field)).map((field) => unknownField('group', field)),
      ...checkInput(config, route),
    ];
    return problems.map((problem) => `alerts.routes.${route.name}.${problem}`);
  });
}

function checkMatcher(
  { alerts }: Config,
  field: string,
  matcher: AlertRouteConfig['match'][string],
): string[] {
  const path = `match.${field}`;
  if (!isAlertField(field)) return [unknownField('match', field)];
  if (matcher === '') return [`${path}: an empty value is an absent one; write { absent: true }`];
  const sources = Object.keys(alerts.sources);
  if (field === 'source' && typeof matcher === 'string' && !sources.includes(matcher))
    return [`${path}: no source "${matcher}"; known: ${sources.join(', ') || 'none'}`];
  if (field === 'status' && matcher !== 'firing')
    return [
      `${path}: only "firing" starts a run, and what is resolved goes to the run that its alert started; leave it out`,
    ];
  try {
    compileMatcher(field, matcher);
    return [];
  } catch (error) {
    const why = (error as Error).message.replace(/^error parsing regexp: /, '');
    return [`${path}.regex: ${why}; patterns are RE2, as in Alertmanager`];
  }
}

/** Set by the intake itself. */
const RESERVED: Record<string, string> = {
  mode: "write it beside `input`, as the route's own",
  startedBy: 'the intake sets it to the name of the source',
  alert: 'the intake sets it to the alert',
};

function checkInput(config: Config & WithCatalogue, route: AlertRouteConfig): string[] {
  const card = config.catalogue.cardOf(route.runbook);
  if (card === undefined) {
    const near = suggestion(
      route.runbook,
      config.catalogue.cards.map(({ name }) => name),
    );
    return [`runbook: no runbook "${route.runbook}"; known: ${config.catalogue.names}${near}`];
  }
  const placeholders = placeholdersIn(route.input);
  const reserved = Object.keys(route.input).filter((field) => Object.hasOwn(RESERVED, field));
  const unknown = placeholders.filter(({ field }) => !isAlertField(field));
  const problems = [
    ...reserved.map((field) => `input.${field}: ${RESERVED[field]}`),
    ...unknown.map(({ path, field }) => unknownField(`input.${path.join('.')}`, `{{${field}}}`)),
    ...unfinished(route.input).map((text) => `input: "${text}" has braces that are no {{field}}`),
  ];
  return problems.length > 0 ? problems : checkAgainstSchema(config, route, card, placeholders);
}

/** What is templated gets a value of the wanted type; what it will be is checked when an alert comes. */
function checkAgainstSchema(
  config: Config,
  route: AlertRouteConfig,
  card: Card,
  placeholders: { path: (string | number)[] }[],
): string[] {
  const sample: Read = (_, type) => (type === 'boolean' ? 'true' : '1');
  const input = fill(route.input, inputSchema(card), sample) as Record<string, unknown>;
  const templated = new Set(placeholders.map(({ path }) => path.join('.')));
  const filledIn = 'severity' in card.input.shape ? { severity: 'P2' } : {};
  const problems = inputProblems(card, config, { ...filledIn, ...input, startedBy: 'alert' }, templated);
  return problems.map((problem) => `input.${problem}`);
}

/** Braces that would reach a run as they are, e.g. of `{{labels.x}`. */
function unfinished(value: unknown): string[] {
  if (typeof value === 'string') {
    return /\{\{|\}\}/.test(value.replace(/\{\{[^{}]*\}\}/g, '')) ? [value] : [];
  }
  return value !== null && typeof value === 'object' ? Object.values(value).flatMap(unfinished) : [];
}

function unknownField(path: string, field: string): string {
  return `${path}: no field "${field}"; known: ${FIELD_NAMES}`;
}
