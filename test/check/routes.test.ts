import { checkRoutes } from '../../src/check/routes';
import { configOf } from '../alerts/intake-support';

const GOOD = {
  name: 'backups',
  match: { 'labels.name': 'BackupOld' },
  runbook: 'checkBackups',
  input: { service: 'booking' },
};

const problemsOf = (...routes: Record<string, unknown>[]) =>
  checkRoutes(configOf({ routes: routes.map((route) => ({ ...GOOD, ...route })) }));

describe('the routes of a configuration', () => {
  it.each<[string, Record<string, unknown>]>([
    ['as simple as can be', {}],
    [
      'with every kind of matcher',
      {
        match: { source: 'monitor', status: 'firing', title: { regex: '(?i)no .*' }, link: { absent: true } },
      },
    ],
    [
      'with a templated service and environment',
      { input: { service: '{{labels.service}}', environment: '{{labels.env}}' } },
    ],
    [
      'with words around a field',
      { input: { service: 'booking', reason: '{{title}} since {{startsAt}} ({{annotations.runbook_url}})' } },
    ],
    [
      'with templates where a number or a boolean is wanted',
      {
        runbook: 'respondToIncident',
        input: { service: 'booking', runbook: '{{labels.auto}}', title: '{{title}}' },
      },
    ],
    [
      'with a list of templates',
      { runbook: 'migrateDatabase', input: { service: 'booking', files: ['{{labels.file}}'] } },
    ],
    ['with a group', { group: ['labels.name', 'source'] }],
    ['for a runbook that has a severity', { runbook: 'respondToIncident' }],
  ])('are fine: %s', (_, route) => {
    expect(problemsOf(route)).toEqual([]);
  });

  it.each<[string, Record<string, unknown>, string]>([
    [
      'an unknown runbook',
      { runbook: 'checkBackup' },
      'runbook: no runbook "checkBackup"; known: migrateDatabase',
    ],
    [
      'an unknown field to match',
      { match: { label: 'x' } },
      'match: no field "label"; known: source, fingerprint',
    ],
    [
      'an unknown source',
      { match: { source: 'prometheus' } },
      'match.source: no source "prometheus"; known: monitor',
    ],
    ['an empty value', { match: { 'labels.x': '' } }, 'match.labels.x: an empty value is an absent one'],
    ['only what is resolved', { match: { status: 'resolved' } }, 'match.status: only "firing" starts a run'],
    ['a pattern that is none', { match: { title: { regex: '(' } } }, 'match.title.regex: missing'],
    [
      'a pattern that RE2 does not have',
      { match: { title: { regex: '(?=x)' } } },
      'match.title.regex: invalid or unsupported',
    ],
    ['an unknown field to group by', { group: ['name'] }, 'group: no field "name"'],
    [
      'a field that the runbook does not have',
      { input: { service: 'booking', job: 'x' } },
      'input.job: got a field that checkBackups does not have, wanted one of: service',
    ],
    ['no service', { input: {} }, 'input.service: got nothing'],
    [
      'an unknown service',
      { input: { service: 'bookings' } },
      'input.service: got "bookings", wanted one of: booking, shop',
    ],
    [
      'an unknown environment',
      { input: { service: 'booking', environment: 'attic' } },
      'input.environment: got "attic", wanted one of: production',
    ],
    [
      'a value of the wrong type',
      { input: { service: 'booking', reason: 5 } },
      'input.reason: got 5, wanted text',
    ],
    [
      'text where a boolean is wanted',
      { runbook: 'respondToIncident', input: { service: 'booking', runbook: 'is {{labels.auto}}' } },
      'input.runbook: got',
    ],
    [
      'text where a list is wanted',
      { runbook: 'migrateDatabase', input: { service: 'booking', files: '{{labels.file}}' } },
      'input.files: got "1", wanted a list',
    ],
    [
      'a template of an unknown field',
      { input: { service: '{{service}}' } },
      'input.service: no field "{{service}}"; known: source',
    ],
    [
      'a template that calls something',
      { input: { service: 'booking', reason: '{{ labels.x | upper }} {{upper labels.x}}' } },
      'input.reason: no field "{{upper labels.x}}"',
    ],
    [
      'braces that are left open',
      { input: { service: 'booking', reason: '{{title}' } },
      'input: "{{title}" has braces',
    ],
    [
      'a mode in the input',
      { input: { service: 'booking', mode: 'auto' } },
      'input.mode: write it beside `input`',
    ],
    [
      'who started it',
      { input: { service: 'booking', startedBy: 'ana' } },
      'input.startedBy: the intake sets it',
    ],
    ['an alert of its own', { input: { service: 'booking', alert: {} } }, 'input.alert: the intake sets it'],
  ])('are refused with the path: %s', (_, route, expected) => {
    const problems = problemsOf(route);
    expect(problems.join('\n')).toContain(`alerts.routes.backups.${expected}`);
  });

  it('are refused when two have one name: it is part of the workflow ID', () => {
    expect(problemsOf({}, { match: { title: 'x' } })).toEqual([
      'alerts.routes.backups.name: another route has it',
    ]);
  });

  it('are all checked, so that every problem is named at once', () => {
    const problems = problemsOf(
      { runbook: 'nothing' },
      { name: 'other', match: { foo: 'x', title: { regex: '[' } }, group: ['bar'] },
    );
    expect(problems).toHaveLength(4);
  });
});
