import type { Alert } from '../../src/contract/alert';
import { compileRoutes, judge, routeOf } from '../../src/alerts/routing';
import { alertOf } from './intake-support';
import { configWith, filled, planned, type RouteConfig } from './routing-support';

const takenBy = (alert: Alert, ...routes: RouteConfig[]) =>
  routeOf(compileRoutes(configWith(...routes)), alert)?.config.name;

const matching = (match: Record<string, unknown>, alert: Partial<Alert>) =>
  takenBy(alertOf(alert), { match }) !== undefined;

describe('a route', () => {
  it('is taken when all its matchers hold, and the first such route decides', () => {
    const routes = [
      { match: { 'labels.name': 'BackupOld', severity: 'page' } },
      { match: { 'labels.name': 'BackupOld' } },
      { match: { 'labels.service': 'booking' } },
    ];
    expect(takenBy(alertOf(), ...routes)).toBe('route-1');
    expect(takenBy(alertOf({ severity: 'page' }), ...routes)).toBe('route-0');
    expect(takenBy(alertOf({ labels: { service: 'booking' } }), ...routes)).toBe('route-2');
    expect(takenBy(alertOf({ labels: {} }), ...routes)).toBeUndefined();
  });

  it.each<[Record<string, unknown>, Partial<Alert>, boolean]>([
    [{ severity: 'critical' }, { severity: 'critical' }, true],
    [{ severity: 'critical' }, { severity: 'critical!' }, false],
    // The whole value, also where a pattern has alternatives.
    [{ 'labels.name': { regex: 'Back|Old' } }, { labels: { name: 'BackupOld' } }, false],
    [{ 'labels.name': { regex: 'Backup|Old' } }, { labels: { name: 'Old' } }, true],
    [{ 'labels.name': { regex: 'Backup.*' } }, { labels: { name: 'BackupOld' } }, true],
    [{ 'labels.name': { regex: 'Backup.*' } }, { labels: { name: 'NoBackupOld' } }, false],
    [{ 'labels.name': { regex: '.*' } }, { labels: {} }, false],
    [{ 'labels.team': { absent: true } }, { labels: {} }, true],
    // An empty label is an absent one.
    [{ 'labels.team': { absent: true } }, { labels: { team: '' } }, true],
    [{ 'labels.team': { regex: '.*' } }, { labels: { team: '' } }, false],
    [{ 'labels.team': { absent: true } }, { labels: { team: 'shop' } }, false],
    [{ severity: { absent: true } }, { severity: '' }, true],
    [{ link: { absent: true } }, { link: null }, true],
    [{ source: 'monitor', fingerprint: 'f1', title: { regex: 'No backup.*' } }, {}, true],
    [{ 'annotations.runbook': 'x' }, { annotations: { runbook: 'x' } }, true],
    [{ 'labels.app.kubernetes.io/name': 'x' }, { labels: { 'app.kubernetes.io/name': 'x' } }, true],
    // What every object has is no label.
    [{ 'labels.constructor': { regex: '.*' } }, { labels: {} }, false],
    [{ 'labels.constructor': { absent: true } }, { labels: {} }, true],
  ])('that wants %j of %j: %s', (match, alert, expected) => {
    expect(matching(match, alert)).toBe(expected);
  });

  it('is asked in linear time, whatever the pattern and the value', () => {
    // With backtracking each of these takes longer than the age of this test.
    for (const regex of ['(a+)+b', '(a|a)*b', '(a|aa)+b', '((a*)*)*b']) {
      expect(matching({ title: { regex } }, { title: 'a'.repeat(500) })).toBe(false);
    }
  });

  it('takes the end of the alert whose beginning it took', () => {
    expect(matching({ status: 'firing' }, { status: 'resolved' })).toBe(true);
    expect(planned({ status: 'resolved' }).workflowId).toBe(planned({ status: 'firing' }).workflowId);
  });

  it('says which matcher did not hold, what it wanted and what it got', () => {
    const [route] = compileRoutes(
      configWith({ match: { source: 'monitor', 'labels.team': { regex: 's.*' } } }),
    );
    expect(judge(route!, alertOf())).toEqual({
      route: 'route-0',
      failed: { field: 'labels.team', wanted: '/s.*/', got: undefined },
    });
    expect(judge(route!, alertOf({ labels: { team: 'shop' } }))).toEqual({ route: 'route-0' });
  });
});

describe('the input of a run', () => {
  it('has the values of the alert, the alert itself, and who started it', () => {
    const { input, problems } = filled(
      {
        text: '{{labels.name}} on {{ labels.service }}',
        nested: { word: '{{source}}' },
        words: ['a', '{{fingerprint}}'],
      },
      {},
      { mode: 'propose' },
    );
    expect(problems).toEqual([]);
    expect(input).toEqual({
      service: 'booking',
      text: 'BackupOld on booking',
      nested: { word: 'monitor' },
      words: ['a', 'f1'],
      mode: 'propose',
      severity: 'P2',
      startedBy: 'alert:monitor',
      alert: alertOf(),
    });
  });

  it.each([
    ['count', '2.5', 2.5],
    ['count', '-1e3', -1000],
    ['whole', '7', 7],
    ['force', 'true', true],
    ['force', 'no', false],
    ['text', '7', '7'],
    ['text', 'true', 'true'],
  ])('takes the type that the field wants: %s from %s', (field, said, expected) => {
    const { input, problems } = filled({ [field]: '{{labels.x}}' }, { labels: { x: said } });
    expect(problems).toEqual([]);
    expect(input[field]).toBe(expected);
  });

  it('takes the type of a field inside another', () => {
    const { input } = filled(
      { nested: { count: '{{labels.x}}', word: '{{labels.x}}' } },
      { labels: { x: '7' } },
    );
    expect(input['nested']).toEqual({ count: 7, word: '7' });
  });

  it.each([
    ['count', 'many', 'count: got "many", wanted a number'],
    ['whole', '1.5', 'whole: got 1.5'],
    ['force', '1', 'force: got "1", wanted true or false'],
    ['name', 'Not A Name', 'name: got "Not A Name"'],
    // A name is not cut to another name.
    ['name', 'abcdefgh', 'name: got "abcdefgh"'],
  ])('is refused with the field, what it got and what was wanted: %s from %s', (field, said, expected) => {
    const { problems } = filled({ [field]: '{{labels.x}}' }, { labels: { x: said } });
    expect(problems.join()).toContain(expected);
  });

  it('leaves out a text that names something which the alert does not have', () => {
    const { input, problems } = filled(
      {
        text: '{{labels.x}}',
        name: 'a{{labels.x}}',
        words: ['{{labels.x}}', 'b'],
        nested: { word: '{{link}}' },
      },
      {},
    );
    expect(problems).toEqual([]);
    expect(input).not.toHaveProperty('text');
    expect(input).not.toHaveProperty('name');
    expect(input['words']).toEqual(['b']);
    expect(input['nested']).toEqual({});
  });

  it('cuts words that are too many, and says so with a mark', () => {
    const { input, problems } = filled({ text: 'Oh: {{title}}' }, { title: 'x'.repeat(400) });
    expect(problems).toEqual([]);
    expect(input['text']).toBe(`Oh: ${'x'.repeat(15)}…`);
    // What the configuration itself says is not cut.
    expect(filled({ text: 'y'.repeat(30) }).problems.join()).toContain('text');
  });

  it.each(['{{labels.service}}', '{{source}}', '${env:HOME}', "$'$&$1", '{"a":1}', '__proto__'])(
    'takes %s as the text that it is',
    (said) => {
      const labels = { x: said, service: 'booking' };
      expect(filled({ text: '{{labels.x}}' }, { labels }).input['text']).toBe(said);
      expect(filled({ text: '>{{labels.x}}' }, { labels }).input['text']).toBe(`>${said}`);
      expect(filled({ words: ['{{labels.x}}'] }, { labels }).input['words']).toEqual([said]);
    },
  );

  it('may name the service by the alert, if it is one of the configured', () => {
    const input = { service: '{{labels.service}}' };
    expect(planned({ labels: { service: 'shop' } }, { input }).workflowId).toMatch(/^checkBackups\/shop\//);
    for (const service of ['nowhere', 'constructor', '../shop', 'Booking']) {
      const { workflowId, problems } = planned({ labels: { service } }, { input });
      expect(workflowId).toBeUndefined();
      expect(problems.join()).toContain('service');
    }
    expect(planned({ labels: {} }, { input }).problems.join()).toContain('service: got nothing');
  });

  it('may name the environment, if the service has it', () => {
    const input = { service: 'booking', environment: '{{labels.env}}' };
    expect(planned({ labels: { env: 'production' } }, { input }).problems).toEqual([]);
    expect(planned({ labels: { env: 'attic' } }, { input }).problems).toEqual([
      'environment: got "attic", wanted one of: production',
    ]);
  });
});

describe('the severity', () => {
  const severityOf = (alert: Partial<Alert>, route: RouteConfig = {}, input: Record<string, unknown> = {}) =>
    filled(input, alert, route);

  it('is that of the route, else what the service makes of the word, else its default', () => {
    expect(severityOf({ severity: 'critical' }, { severity: 'P3' }).severity).toBe('P3');
    expect(severityOf({ severity: 'critical' }).severity).toBe('P0');
    expect(severityOf({ severity: 'warning' }).severity).toBe('P2');
    expect(severityOf({ severity: 'odd' }).severity).toBe('P2');
    expect(severityOf({ severity: 'constructor' }).severity).toBe('P2');
  });

  it('is given to a runbook that has a field for it, unless the route does that itself', () => {
    expect(severityOf({ severity: 'critical' }).input['severity']).toBe('P0');
    expect(severityOf({ severity: 'critical' }, {}, { severity: 'P1' }).input['severity']).toBe('P1');
    expect(severityOf({ labels: { sev: 'P3' } }, {}, { severity: '{{labels.sev}}' }).input['severity']).toBe(
      'P3',
    );
    expect(severityOf({ severity: 'error' }, {}, { severity: '{{labels.sev}}' }).input['severity']).toBe(
      'P1',
    );
    expect(planned({ severity: 'critical' }).input).not.toHaveProperty('severity');
  });
});

describe('the workflow ID', () => {
  const idOf = (alert: Partial<Alert>, route: RouteConfig = {}) => planned(alert, route).workflowId;

  it('says runbook and service, and is the same for the same alert', () => {
    expect(idOf({})).toMatch(/^checkBackups\/booking\/alert-[0-9a-f]{16}$/);
    expect(idOf({})).toBe(idOf({ title: 'other', severity: 'x', annotations: { a: 'b' } }));
  });

  it('differs with source, route, fingerprint and start', () => {
    const ids = [
      idOf({}),
      idOf({ source: 'other' }),
      idOf({}, { name: 'another' }),
      idOf({ fingerprint: 'f2' }),
      idOf({ startsAt: null }),
      idOf({ startsAt: '2026-11-21T03:00:01.000Z' }),
      // These two read the same when their parts are only joined.
      idOf({ source: 'monitor|route-0', fingerprint: 'f1' }),
      idOf({ source: 'monitor', fingerprint: 'route-0|f1' }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('of a group is that of its values, whatever the fingerprint and the start', () => {
    const group = { group: ['labels.name', 'labels.team'] };
    const first = idOf({}, group);
    expect(idOf({ fingerprint: 'f2', startsAt: null }, group)).toBe(first);
    expect(idOf({ source: 'other' }, group)).toBe(first);
    expect(idOf({ labels: { name: 'BackupOld', team: 'x' } }, group)).not.toBe(first);
    expect(idOf({ labels: { name: 'x', team: 'y' } }, group)).not.toBe(
      idOf({ labels: { name: 'x y' } }, group),
    );
  });

  it('of an incident is the same whenever the alert began', () => {
    const led = { runbook: 'respondToIncident' };
    expect(idOf({ startsAt: '2026-11-21T03:00:01.000Z' }, led)).toBe(idOf({}, led));
    expect(idOf({ fingerprint: 'f2' }, led)).not.toBe(idOf({}, led));
    expect(planned({}, led)).toMatchObject({ repeatable: true, lasting: true });
  });

  it('may be used again only where nothing in it says which episode it is', () => {
    expect(planned({}).repeatable).toBe(false);
    expect(planned({ startsAt: null }).repeatable).toBe(true);
    expect(planned({}, { group: ['labels.name'] }).repeatable).toBe(true);
  });
});
