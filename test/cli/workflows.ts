/**
 * Stands in for runbooks, so that the command can be tested without a database: the wire names (queries, updates, memo)
 * are those of the kit. `reason` of the input chooses what the run does.
 */
import {
  ApplicationFailure,
  condition,
  defineQuery,
  defineUpdate,
  proxyActivities,
  setHandler,
  sleep,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { Outcome, RunReport, RunStatus, Waiting } from '../../src/contract/report';

export { guard } from '../../src/workflows/guard/guard';

const { flaky } = proxyActivities<{ flaky(): Promise<string> }>({
  startToCloseTimeout: '5 s',
  retry: { initialInterval: '50 ms', maximumAttempts: 3 },
  summary: 'Back up booking/production',
});

type Words = Record<string, string>;
type Input = { service: string; mode?: RunReport['mode']; startedBy: string; reason?: string };

const PLAN = 'abc123def456';
const now = () => new Date(Date.now()).toISOString();

function startReport(type: string, input: Input): RunReport {
  const { workflowId, runId } = workflowInfo();
  return {
    runbook: type,
    title: 'Migrate a database',
    workflowId,
    runId,
    service: input.service,
    mode: input.mode ?? 'propose',
    startedBy: input.startedBy,
    startedAt: now(),
    summary: 'running',
    plan: {
      hash: PLAN,
      actions: [{ action: 'apply migration', target: 'booking/production' }],
      warnings: ['rewrites a table'],
    },
    approvals: [],
    timeline: [],
    facts: { backupSeconds: 1.5 },
  };
}

export async function migrateDatabase(input: Input): Promise<RunReport> {
  const report = startReport('migrateDatabase', input);
  const waiting: Waiting[] = [];
  const answers: Words[] = [];
  const line = (title: string, status: RunReport['timeline'][number]['status'], detail?: string) =>
    report.timeline.push({
      title,
      movement: 'act',
      status,
      startedAt: now(),
      endedAt: now(),
      ...(detail === undefined ? {} : { detail }),
    });
  setHandler(defineQuery<RunStatus>('status'), () => ({ ...report, waiting }));
  for (const verb of ['approve', 'reject', 'decide', 'done', 'note']) {
    setHandler(
      defineUpdate<string, [Words]>(verb),
      (words) => {
        if (verb === 'note') line(`Note by ${words['by']}`, 'note', words['text']);
        else answers.push({ verb, ...words });
        return `${verb} by ${words['by']} taken`;
      },
      {
        validator: (words) => {
          if (words['plan'] !== undefined && words['plan'] !== PLAN) {
            throw ApplicationFailure.nonRetryable(
              `"${words['plan']}" is not what this run waits for`,
              'Refused',
            );
          }
        },
      },
    );
  }
  const ask = async (one: Waiting): Promise<Words> => {
    waiting.push(one);
    report.summary = `waiting: ${one.question}`;
    await condition(() => answers.length > 0);
    waiting.pop();
    const answer = answers.shift() as Words;
    line(one.question, 'done', `${answer['verb']} by ${answer['by']}`);
    return answer;
  };
  const end = (outcome: Outcome, summary: string): RunReport => {
    Object.assign(report, { outcome, summary, endedAt: now() });
    upsertMemo({ report });
    if (outcome === 'SUCCEEDED') return report;
    throw ApplicationFailure.create({
      message: `${outcome}: ${summary}`,
      type: outcome,
      nonRetryable: true,
      details: [report],
    });
  };
  return play(input.reason ?? 'succeed', ask, line, end, report);
}

async function play(
  reason: string,
  ask: (one: Waiting) => Promise<Words>,
  line: (title: string, status: RunReport['timeline'][number]['status'], detail?: string) => void,
  end: (outcome: Outcome, summary: string) => RunReport,
  report: RunReport,
): Promise<RunReport> {
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  if (reason === 'approve') {
    const update = { name: 'approve', argument: { plan: PLAN, by: '<your name>' } };
    const answer = await ask({
      kind: 'approval',
      id: PLAN,
      question: `Approve plan ${PLAN}?`,
      expiresAt,
      update,
    });
    if (answer['verb'] === 'reject') return end('REJECTED', `${answer['by']} rejected the plan`);
    report.approvals.push({ plan: PLAN, by: answer['by'] as string, at: now() });
  } else if (reason === 'decide') {
    const update = { name: 'decide', argument: { question: 'q1', choice: 'keep', by: '<your name>' } };
    const answer = await ask({
      kind: 'decision',
      id: 'q1',
      question: 'Keep or drop?',
      choices: ['keep', 'drop'],
      expiresAt,
      update,
    });
    return end('SUCCEEDED', `chose ${answer['choice']}`);
  } else if (reason === 'task') {
    const update = { name: 'done', argument: { task: 't1', by: '<your name>' } };
    await ask({ kind: 'task', id: 't1', question: 'Reconnect the calendar', expiresAt, update });
  } else if (reason === 'flaky') {
    line('Back up booking/production', 'done', await flaky());
  } else if (reason === 'wait') {
    await sleep('1 hour');
  } else if (reason !== 'succeed') {
    return end(reason as Outcome, `ended as ${reason}`);
  }
  return end('SUCCEEDED', 'all done');
}

/** Not a runbook at all: no queries, no memo. */
export async function foreignJob(input: { password: string }): Promise<string> {
  await flaky();
  await sleep(20);
  return `done with ${Object.keys(input).length} field`;
}
