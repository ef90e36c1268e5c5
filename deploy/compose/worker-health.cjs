/** Health of the worker in this container: it is healthy when Temporal has seen it ask for work lately. */
const { hostname } = require('node:os');
const { Connection } = require('@temporalio/client');
const { loadProject } = require('../../dist/src/check/load-project.js');
const { configPath } = require('../../dist/src/config/load.js');
const { connectionOptions } = require('../../dist/src/config/temporal.js');

// A poll lasts up to a minute, and is counted when it begins.
const MAX_AGE_MS = 150_000;

async function main() {
  const config = loadProject(configPath());
  const { connection: options, namespace } = connectionOptions(config);
  const connection = await Connection.connect({ ...options, connectTimeout: 5_000 });
  try {
    const { pollers } = await connection.workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: config.temporal.taskQueue },
      taskQueueType: 1, // workflow tasks
    });
    const mine = (pollers ?? []).find(({ identity }) => identity?.endsWith(`@${hostname()}`));
    const ageMs =
      mine === undefined ? Infinity : Date.now() - Number(mine.lastAccessTime?.seconds ?? 0) * 1_000;
    if (ageMs < MAX_AGE_MS) return;
    throw new Error(`no worker of ${hostname()} has asked for work on ${config.temporal.taskQueue} lately`);
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
