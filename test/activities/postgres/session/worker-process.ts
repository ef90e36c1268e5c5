/** A worker that can be killed: applies one migration as attempt 1. Arguments: folder, URL, system identifier, database, input as JSON. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { createApplyActivities } from '../../../../src/activities/postgres/migrations/apply-activities';
import type { ApplyInput } from '../../../../src/activities/postgres/migrations/apply-run';
import { configSchema } from '../../../../src/config/schema';

const [directory = '', url = '', systemIdentifier = '', database = '', input = ''] = process.argv.slice(2);
const service = {
  environments: { production: { database: { url, identity: { systemIdentifier, database } } } },
};
const config = {
  ...configSchema.parse({ services: { shop: service } }),
  file: `${directory}/runbooks.yaml`,
  directory,
};
const environment = new MockActivityEnvironment({
  attempt: 1,
  activityId: '7',
  workflowExecution: { workflowId: 'test-run', runId: 'test' },
});
const { applyMigration } = createApplyActivities({ config });
environment.run(applyMigration, JSON.parse(input) as ApplyInput).then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
