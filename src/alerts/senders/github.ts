import type { z } from 'zod';
import { bySignature, headerOf, refuse, verifyOwnSignature } from '../authenticate';
import { toAlert, type RawAlert } from '../normal-form';
import { BadAlert, type Sender } from '../sender';
import { member, object, optionalText, read, text } from './fields';

const SIGNATURE = 'X-Hub-Signature-256';
const PREFIX = 'sha256=';

/** Conclusions of runs and suites. Cancelled, skipped, neutral and stale ones say nothing about the code. */
const CONCLUSIONS: Partial<Record<string, RawAlert['status']>> = {
  failure: 'firing',
  timed_out: 'firing',
  startup_failure: 'firing',
  success: 'resolved',
};
/** States of deployments. Queued, pending and inactive ones say nothing yet, or no more. */
const STATES: Partial<Record<string, RawAlert['status']>> = {
  failure: 'firing',
  error: 'firing',
  success: 'resolved',
};
/** Events about something that is open until one of these actions. */
const OPEN_UNTIL_ENDED = /_alert$|^issues$/;
const ENDED = new Set(['resolved', 'fixed', 'closed', 'dismissed', 'auto_dismissed', 'closed_by_user']);

/**
 * GitHub webhooks. `X-GitHub-Delivery` is not signed and a redelivery has the same body, so what is remembered is the
 * body. Failures of one workflow on one branch are one problem until it succeeds; they have no start of their own.
 */
export const github: Sender = {
  verify: verifyOwnSignature((delivery, { secrets }, options) => {
    const header = headerOf(delivery.headers, SIGNATURE);
    if (header === undefined) return refuse(401, `${SIGNATURE} is missing`);
    const presented = header.startsWith(PREFIX) ? [header.slice(PREFIX.length)] : [];
    return bySignature(delivery, { name: SIGNATURE, presented, secrets }, options);
  }),
  parse(body, headers, { source }) {
    const event = headerOf(headers, 'x-github-event');
    if (event === undefined) throw new BadAlert('X-GitHub-Event: got nothing, wanted the name of the event');
    const raw = parseEvent(event, body);
    return raw === null ? [] : [toAlert({ source, ...raw })];
  },
};

type Raw = Omit<RawAlert, 'source'>;

function parseEvent(event: string, body: unknown): Raw | null {
  switch (event) {
    case 'ping':
    case 'push':
      return null;
    case 'workflow_run':
      return workflowRun(read(workflowRunBody, body));
    case 'check_suite':
      return checkSuite(read(checkSuiteBody, body));
    case 'deployment_status':
      return deploymentStatus(read(deploymentStatusBody, body));
    default:
      return other(event, body);
  }
}

const repository = object({ full_name: text, html_url: optionalText });

const workflowRunBody = object({
  repository,
  workflow_run: object({
    name: optionalText,
    workflow_id: optionalText,
    display_title: optionalText,
    conclusion: optionalText,
    head_branch: optionalText,
    head_sha: optionalText,
    html_url: optionalText,
    event: optionalText,
    run_number: optionalText,
  }),
});

function workflowRun({ repository: repo, workflow_run: run }: z.output<typeof workflowRunBody>): Raw | null {
  const status = statusOf(CONCLUSIONS, run.conclusion);
  if (status === null) return null;
  const workflow = run.name || run.workflow_id || 'workflow';
  const branch = run.head_branch || 'no branch';
  return {
    fingerprint: `${repo.full_name} ${workflow} ${branch}`,
    status,
    title: `${workflow} on ${branch} of ${repo.full_name}: ${run.conclusion}`,
    labels: {
      event: 'workflow_run',
      repository: repo.full_name,
      workflow,
      branch: run.head_branch,
      conclusion: run.conclusion,
      commit: run.head_sha,
      trigger: run.event,
    },
    annotations: { commit: run.display_title, run: run.run_number },
    link: run.html_url,
  };
}

const checkSuiteBody = object({
  repository,
  check_suite: object({
    conclusion: optionalText,
    head_branch: optionalText,
    head_sha: optionalText,
    app: object({ slug: optionalText }).nullish(),
  }),
});

function checkSuite({ repository: repo, check_suite: suite }: z.output<typeof checkSuiteBody>): Raw | null {
  const status = statusOf(CONCLUSIONS, suite.conclusion);
  if (status === null) return null;
  const app = suite.app?.slug || 'checks';
  const branch = suite.head_branch || 'no branch';
  return {
    fingerprint: `${repo.full_name} check_suite ${app} ${branch}`,
    status,
    title: `${app} on ${branch} of ${repo.full_name}: ${suite.conclusion}`,
    labels: {
      event: 'check_suite',
      repository: repo.full_name,
      app,
      branch: suite.head_branch,
      conclusion: suite.conclusion,
      commit: suite.head_sha,
    },
    link: suite.head_sha ? `${repo.html_url ?? ''}/commit/${suite.head_sha}/checks` : repo.html_url,
  };
}

const deploymentStatusBody = object({
  repository,
  deployment_status: object({
    state: text,
    environment: optionalText,
    description: optionalText,
    log_url: optionalText,
    target_url: optionalText,
  }),
  deployment: object({ id: optionalText, ref: optionalText, sha: optionalText, environment: optionalText }),
});

function deploymentStatus(body: z.output<typeof deploymentStatusBody>): Raw | null {
  const { repository: repo, deployment_status: said, deployment } = body;
  const status = statusOf(STATES, said.state);
  if (status === null) return null;
  const environment = said.environment || deployment.environment || 'production';
  return {
    fingerprint: `${repo.full_name} deployment ${environment}`,
    status,
    title: `Deployment of ${repo.full_name} to ${environment}: ${said.state}`,
    labels: {
      event: 'deployment_status',
      repository: repo.full_name,
      environment,
      state: said.state,
      ref: deployment.ref,
      commit: deployment.sha,
      deployment: deployment.id,
    },
    annotations: { description: said.description },
    link: said.log_url || said.target_url,
  };
}

const otherBody = object({
  action: optionalText,
  repository: repository.nullish(),
  organization: object({ login: optionalText }).nullish(),
});

/** All that is needed of an event that is not known here: what it is about, and whether that is over. */
function other(event: string, body: unknown): Raw {
  const { action, repository: repo, organization } = read(otherBody, body);
  const where = repo?.full_name || organization?.login || 'github';
  const keys = [event, event.replace(/s$/, ''), 'alert', 'issue', 'pull_request'];
  const subject = keys.map((key) => member(body, key)).find((value) => value !== undefined);
  const of = (key: string) => {
    const value = member(subject, key);
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
  };
  const id = of('number') ?? of('id');
  return {
    fingerprint: [where, event, id ?? action].filter((part) => part).join(' '),
    status: OPEN_UNTIL_ENDED.test(event) && ENDED.has(action ?? '') ? 'resolved' : 'firing',
    severity: of('severity'),
    title: of('title') ?? `${event}${action ? ` ${action}` : ''} in ${where}`,
    labels: { event, action, repository: repo?.full_name, number: id },
    link: of('html_url'),
  };
}

function statusOf(words: Partial<Record<string, RawAlert['status']>>, word: string | null | undefined) {
  return (word && Object.hasOwn(words, word) && words[word]) || null;
}
