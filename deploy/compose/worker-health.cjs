/** Health of the worker in this container: it is healthy when Temporal has seen it ask for work lately. */
const { Connection } = require('@temporalio/client');
const { loadProject } = require('../../dist/src/check/load-project.js');
const { configPath } = require('../../dist/src/config/load.js');
const { temporalOptions } = require('../../dist/src/config/temporal.js');
const { workerHostOf } = require('../../dist/src/config/worker-host.js');
const { hostIn } = require('../../dist/src/config/worker-identity.js');

// A poll lasts up to a minute, and is counted when it begins.
const MAX_AGE_MS = 150_000;

async function main() {
  const config = loadProject(configPath());
  const {
    connection: options,
    client: { namespace },
  } = temporalOptions(config);
  const connection = await Connection.connect({ ...options, connectTimeout: 5_000 });
  try {
    const { pollers } = await connection.workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: config.temporal.taskQueue },
      taskQueueType: 1, // workflow tasks
    });
    const host = workerHostOf(config);
    const mine = (pollers ?? []).find(({ identity }) => hostIn(identity ?? '') === host);
    const ageMs =
      mine === undefined ? Infinity : Date.now() - Number(mine.lastAccessTime?.seconds ?? 0) * 1_000;
    if (ageMs < MAX_AGE_MS) return;
    throw new Error(`no worker of ${host} has asked for work on ${config.temporal.taskQueue} lately`);
  } finally {
    await connection.close();
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);
