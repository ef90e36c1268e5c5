import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { authSchema } from '../../src/activities/auth/settings';
import { calendarSchema } from '../../src/activities/calendar/settings';
import { ownCatalogue } from '../../src/packs/own';

interface Block {
  services?: { shop: { environments: { production: Record<string, unknown> } } };
  alerts?: { routes: { runbook: string }[] };
}

const page = readFileSync(join(__dirname, '../../docs/integrations.md'), 'utf8');
const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => parse(text!) as Block);
const sections = Object.assign(
  {},
  ...blocks.map(({ services }) => services?.shop.environments.production),
) as Record<string, unknown>;

test('every section of the page is one that the configuration takes', () => {
  expect(Object.keys(sections).sort()).toEqual(['authentication', 'calendar']);
  expect(calendarSchema.safeParse(sections['calendar']).error).toBeUndefined();
  expect(authSchema.safeParse(sections['authentication']).error).toBeUndefined();
});

test('every route of the page leads to a runbook', () => {
  const names = ownCatalogue.cards.map(({ name }) => name);
  const routed = blocks.flatMap(({ alerts }) => alerts?.routes ?? []).map(({ runbook }) => runbook);
  expect(routed).toEqual(['recoverCalendarSync', 'diagnoseAuthentication']);
  expect(names).toEqual(expect.arrayContaining(routed));
});
