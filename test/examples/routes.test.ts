/** The routes of the examples against their own alert rules. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

interface Route {
  name: string;
  match: Record<string, string | { regex: string }>;
  group?: string[];
  runbook: string;
}

interface Rule {
  alert?: string;
  labels: { severity: string };
}

describe.each(['appointments', 'assistant', 'booking', 'studio', 'travel'])('%s', (name) => {
  const read = (file: string): string => readFileSync(join(__dirname, '../../examples', name, file), 'utf8');
  const { routes } = (parse(read('runbooks.yaml')) as { alerts: { routes: Route[] } }).alerts;
  const { groups } = parse(read('alert-rules.yml')) as { groups: { rules: Rule[] }[] };
  const rules = groups.flatMap((group) => group.rules.filter(({ alert }) => alert !== undefined));
  const routeOf = ({ alert }: Rule): Route | undefined =>
    routes.find(({ match }) => {
      const wanted = match['labels.alertname'];
      if (wanted === undefined) return false;
      return typeof wanted === 'string' ? wanted === alert : new RegExp(`^(?:${wanted.regex})$`).test(alert!);
    });

  it.each(rules.map((rule) => [rule.alert!, rule] as const))('%s has a route', (_, rule) => {
    expect(routeOf(rule)).toBeDefined();
  });

  // Of what is no symptom to its runbook each run finds nothing to do; after some of them only looks are allowed, for the whole group.
  it('no information is in one group with what is acted on, but where people lead', () => {
    const mixed = routes.filter((route) => {
      const its = rules.filter((rule) => routeOf(rule) === route).map(({ labels }) => labels.severity);
      return route.group !== undefined && its.includes('info') && its.some((severity) => severity !== 'info');
    });
    expect(mixed.filter(({ runbook }) => runbook !== 'respondToIncident').map((route) => route.name)).toEqual(
      [],
    );
  });
});
