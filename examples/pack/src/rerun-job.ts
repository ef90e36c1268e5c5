import { duration, runbook } from 'durable-runbooks/workflow';
import type { createActivities } from './activities';
import type { rerunJobCard } from './card';

type Activities = ReturnType<typeof createActivities>;

export const rerunJob = runbook<typeof rerunJobCard, Activities>(
  'rerunJob',
  async ({ service, environment, job }, run) => {
    const at = { service, environment, job };
    const target = `${service}/${environment}`;
    const before = await run.step('Read the last run', (act) => act.readCronStatus(at));
    const age = duration(before.ageSeconds * 1_000);
    if (!before.stale) return run.nothingToDo(`${job} ran ${age} ago`);
    await run.gate(() => ({ actions: [{ action: 'run once', target: `${target}/${job}` }] }));
    await run.exclusively(target, async (fence) => {
      await run.step('Run it once', (act) => act.runCronJob({ ...at, fence }), {
        kind: 'mutate',
        undo: { irreversible: 'what the job has done stays done' },
        describe: ({ detail }) => detail,
      });
      await run.verify(
        'It has run',
        (act) => act.readCronStatus(at),
        ({ stale, ageSeconds }) => ({ ok: !stale, detail: `last run ${ageSeconds} s ago` }),
      );
    });
    return `${job} runs again; its last run was ${age} ago`;
  },
);
