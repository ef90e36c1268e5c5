import { ownCatalogue, ownConfigSchema } from '../../../src/packs/own';
import { checkIncidents } from '../../../src/activities/incidents/check-settings';

const database = {
  url: 'postgresql://x/y',
  identity: { systemIdentifier: '7000000000000000000', database: 'y' },
};
const problems = (...runbooks: object[]): string[] => {
  const booking = { environments: { production: { database } }, incident: { runbooks } };
  return checkIncidents({
    ...ownConfigSchema.parse({ services: { booking } }),
    catalogue: ownCatalogue,
  });
};
const rule = (part: object = {}) => ({ match: { finding: 'down' }, runbook: 'checkBackups', ...part });

describe('the runbooks of incidents', () => {
  it('are accepted when they exist and take that input', () => {
    expect(
      problems(
        rule(),
        rule({ match: { team: 'a|b', alertname: 'X.*' }, input: { environment: 'production' } }),
      ),
    ).toEqual([]);
  });

  it.each([
    [
      rule({ runbook: 'mendEverything' }),
      /^services\.booking\.incident\.runbooks\.0\.runbook: there is no runbook "mendEverything"; known: /,
    ],
    [
      rule({ runbook: 'respondToIncident' }),
      /runbooks\.0\.runbook: an incident cannot start respondToIncident$/,
    ],
    [rule({ match: {} }), /runbooks\.0\.match: a rule needs a label or `finding`/],
    [rule({ match: { alertname: '(' } }), /runbooks\.0\.match\.alertname: .*missing/],
    [
      rule({ input: { colour: 'red' } }),
      /runbooks\.0\.input\.colour: got a field that checkBackups does not have/,
    ],
    [
      rule({ input: { environment: 'moon' } }),
      /runbooks\.0\.input\.environment: got "moon", wanted one of: production/,
    ],
  ])('are refused before an incident needs them: %j', (broken, message) => {
    expect(problems(broken)).toEqual([expect.stringMatching(message)]);
  });
});
