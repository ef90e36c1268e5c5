const { basename } = require('node:path');
const { default: Sequencer } = require('@jest/test-sequencer');

/**
 * Seconds that the slow files take. What is slow starts first, or the others wait for it at the end; Jest knows by
 * itself only what it has run here before.
 */
const SLOW = {
  'cancel.test.ts': 180,
  'torture.test.ts': 160,
  'disaster.test.ts': 140,
  'high-error-rate.test.ts': 120,
  'outside.test.ts': 120,
  'connections.test.ts': 110,
  'schedule.test.ts': 110,
  'migrate.test.ts': 110,
  'migrate-ways-back.test.ts': 100,
  'migrate-data.test.ts': 100,
  'restore.test.ts': 100,
  'hosts.test.ts': 100,
  'fuzz.test.ts': 90,
  'apply-locks.test.ts': 80,
  'swap-activities.test.ts': 80,
  'roll-back-deployment.test.ts': 70,
  'chaos.test.ts': 70,
  'faults.test.ts': 60,
  'command.test.ts': 60,
  'approval.test.ts': 60,
  'server.test.ts': 50,
  'take-backup.test.ts': 45,
  'alertmanager.test.ts': 45,
  'start.test.ts': 45,
  'incident.test.ts': 40,
  'package.test.ts': 40,
};

module.exports = class extends Sequencer {
  /** @returns expected milliseconds; of a file that nobody knows, its size in bytes, which at least tells them apart */
  time(test) {
    const { path, context } = test;
    const seconds = SLOW[basename(path)];
    return super.time(test) ?? (seconds === undefined ? context.hasteFS.getSize(path) : seconds * 1_000);
  }
};
