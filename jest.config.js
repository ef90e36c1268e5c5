const { availableParallelism } = require('node:os');

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  globalSetup: '<rootDir>/test/support/shared/set-up.ts',
  globalTeardown: '<rootDir>/test/support/shared/tear-down.ts',
  testMatch: ['**/*.test.ts', '**/*.test.tsx'],
  transform: {
    '^.+(\\.tsx?|/node_modules/meilisearch/.+\\.js)$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', tsx: true },
          transform: { react: { runtime: 'automatic', importSource: 'preact' } },
        },
        module: { type: 'commonjs' },
      },
    ],
  },
  // A client that is published as ECMAScript modules only.
  transformIgnorePatterns: ['/node_modules/(?!meilisearch/)'],
  // What `import('./x.js')` means before it is built.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': ['$1', '$1.js'] },
  testSequencer: '<rootDir>/test/support/sequencer.cjs',
  // The slow files wait for servers more than they compute: more of them than there are cores.
  maxWorkers: Math.min(2 * availableParallelism(), 8),
  // Against a hang only: how long something takes is nothing that a test relies on.
  testTimeout: 300_000,
};
