import { github } from '../../../src/alerts/senders/github';
import {
  githubCheckSuite,
  githubDependabotAlert,
  githubDeploymentStatus,
  githubWorkflowRun,
} from './github-bodies';
import { sentryIssue } from './sentry-bodies';
import { delivery, itBelievesOnlyProofs, OPTIONS, parse, parseOne, sign } from './support';

const of = (event: string) => ({ 'x-github-event': event });
const run = (change: object) => ({
  ...githubWorkflowRun,
  workflow_run: { ...githubWorkflowRun.workflow_run, ...change },
});

describe('GitHub', () => {
  itBelievesOnlyProofs('its signature', {
    sender: github,
    auth: (secrets) => ({ kind: 'signature', secrets }),
    prove: (secret, body) => ({ 'x-hub-signature-256': `sha256=${sign(secret, body)}` }),
    header: 'x-hub-signature-256',
    signed: true,
  });

  it('does not believe a signature without its prefix, or the one over SHA-1', () => {
    const { body } = delivery(githubWorkflowRun);
    const verify = (headers: Record<string, string>) =>
      github.verify(delivery(body, headers), { kind: 'signature', secrets: ['s'] }, OPTIONS);
    expect(verify({ 'x-hub-signature-256': sign('s', body) }).ok).toBe(false);
    expect(verify({ 'x-hub-signature': `sha256=${sign('s', body)}` }).ok).toBe(false);
  });

  it('reads a workflow that failed', () => {
    expect(parseOne(github, githubWorkflowRun, of('workflow_run'))).toEqual({
      source: 'monitoring',
      fingerprint: 'acme/booking Deploy main',
      startsAt: null,
      status: 'firing',
      severity: '',
      title: 'Deploy on main of acme/booking: failure',
      labels: {
        event: 'workflow_run',
        repository: 'acme/booking',
        workflow: 'Deploy',
        branch: 'main',
        conclusion: 'failure',
        commit: 'acb5820ced9479c074f688cc328bf03f341a511d',
        trigger: 'push',
      },
      annotations: { commit: 'Raise the size of the pool', run: '562' },
      link: 'https://github.com/acme/booking/actions/runs/30433642',
    });
  });

  it('takes the next success of that workflow on that branch for its end', () => {
    const { fingerprint } = parseOne(github, githubWorkflowRun, of('workflow_run'));
    const success = run({ conclusion: 'success', id: 30433999, head_sha: 'b' });
    expect(parseOne(github, success, of('workflow_run'))).toMatchObject({ fingerprint, status: 'resolved' });
    const elsewhere = run({ conclusion: 'success', head_branch: 'try' });
    expect(parseOne(github, elsewhere, of('workflow_run')).fingerprint).not.toBe(fingerprint);
  });

  it.each([
    ['startup_failure', ['firing']],
    ['timed_out', ['firing']],
    ['cancelled', []],
    ['skipped', []],
    ['constructor', []],
    [null, []],
  ])('takes a workflow that ended with %s for %j', (conclusion, statuses) => {
    const alerts = parse(github, run({ conclusion }), of('workflow_run'));
    expect(alerts.map(({ status }) => status)).toEqual(statuses);
  });

  it('reads a check suite, of the application and branch it is about', () => {
    expect(parseOne(github, githubCheckSuite, of('check_suite'))).toMatchObject({
      fingerprint: 'acme/booking check_suite octoapp main',
      status: 'firing',
      title: 'octoapp on main of acme/booking: timed_out',
      labels: { app: 'octoapp', conclusion: 'timed_out' },
      link: 'https://github.com/acme/booking/commit/acb5820ced9479c074f688cc328bf03f341a511d/checks',
    });
    const requested = { ...githubCheckSuite, check_suite: { conclusion: null } };
    expect(parse(github, requested, of('check_suite'))).toEqual([]);
  });

  it.each([
    ['failure', ['firing']],
    ['error', ['firing']],
    ['success', ['resolved']],
    ['in_progress', []],
    ['inactive', []],
  ])('takes a deployment in state %s for %j', (state, statuses) => {
    const deployment_status = { ...githubDeploymentStatus.deployment_status, state };
    const alerts = parse(github, { ...githubDeploymentStatus, deployment_status }, of('deployment_status'));
    expect(alerts.map(({ status }) => status)).toEqual(statuses);
    for (const alert of alerts) {
      expect(alert).toMatchObject({
        fingerprint: 'acme/booking deployment production',
        labels: { environment: 'production', ref: 'main', deployment: '145988746', state },
        link: githubDeploymentStatus.deployment_status.log_url,
      });
    }
  });

  it('reads other events by what they are about, and security alerts until they are over', () => {
    const alert = parseOne(github, githubDependabotAlert, of('dependabot_alert'));
    expect(alert).toMatchObject({
      fingerprint: 'acme/booking dependabot_alert 12',
      status: 'firing',
      severity: 'high',
      title: 'dependabot_alert created in acme/booking',
      labels: { event: 'dependabot_alert', action: 'created', number: '12' },
      link: 'https://github.com/acme/booking/security/dependabot/12',
    });
    const fixed = parseOne(github, { ...githubDependabotAlert, action: 'fixed' }, of('dependabot_alert'));
    expect(fixed).toMatchObject({ fingerprint: alert.fingerprint, status: 'resolved' });
    const rule = { action: 'deleted', rule: { id: 7 }, organization: { login: 'acme' } };
    expect(parseOne(github, rule, of('branch_protection_rule'))).toMatchObject({
      fingerprint: 'acme branch_protection_rule deleted',
      status: 'firing',
    });
    const issue = {
      action: 'closed',
      issue: { number: 3, title: 'It is slow' },
      repository: { full_name: 'a/b' },
    };
    expect(parseOne(github, issue, of('issues'))).toMatchObject({
      fingerprint: 'a/b issues 3',
      status: 'resolved',
      title: 'It is slow',
    });
  });

  it('takes pings and pushes for no alert', () => {
    expect(parse(github, { zen: 'Keep it logically awesome.', hook_id: 1 }, of('ping'))).toEqual([]);
    expect(parse(github, { ref: 'refs/heads/main' }, of('push'))).toEqual([]);
  });

  it.each([
    [{}, {}, 'X-GitHub-Event: got nothing, wanted the name of the event'],
    [of('workflow_run'), {}, 'repository: got nothing, wanted an object'],
    [of('workflow_run'), sentryIssue, 'workflow_run: got nothing, wanted an object'],
    [
      of('deployment_status'),
      { ...githubDeploymentStatus, deployment: 1 },
      'deployment: got 1, wanted an object',
    ],
    [of('star'), { repository: 'acme' }, 'repository: got "acme", wanted an object'],
  ])('refuses %j with %j and says why', (headers, body, message) => {
    expect(() => parse(github, body, headers)).toThrow(message);
  });
});
