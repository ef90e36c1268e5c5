const { basename } = require('node:path');
const { default: Sequencer } = require('@jest/test-sequencer');

/**
 * Seconds that the slow files take. What is slow starts first, or the others wait for it at the end; Jest knows by
 * itself only what it has run here before.
 */
const SLOW = {
  'high-error-rate.test.ts': 110,
  'outside.test.ts': 110,
  'cancel.test.ts': 100,
  'faults.test.ts': 100,
  'connections.test.ts': 100,
  'schedule.test.ts': 90,
  'roll-back-deployment.test.ts': 70,
  'migrate.test.ts': 70,
  'command.test.ts': 60,
  'fuzz.test.ts': 60,
  'incident.test.ts': 60,
  'swap-activities.test.ts': 45,
  'alertmanager.test.ts': 45,
  'approval.test.ts': 45,
  'server.test.ts': 40,
  'start.test.ts': 40,
};

module.exports = class extends Sequencer {
  /** @returns expected milliseconds; of a file that nobody knows, its size in bytes, which at least tells them apart */
  time(test) {
    const { path, context } = test;
    const seconds = SLOW[basename(path)];
    return super.time(test) ?? (seconds === undefined ? context.hasteFS.getSize(path) : seconds * 1_000);
  }
};
