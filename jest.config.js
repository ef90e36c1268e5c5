/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  globalSetup: '<rootDir>/test/support/shared/set-up.ts',
  globalTeardown: '<rootDir>/test/support/shared/tear-down.ts',
  testMatch: ['**/*.test.ts', '**/*.test.tsx'],
  transform: {
    '^.+\\.tsx?$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', tsx: true },
          transform: { react: { runtime: 'automatic', importSource: 'preact' } },
        },
        module: { type: 'commonjs', ignoreDynamic: true },
      },
    ],
  },
  // Two cores, and each may run a PostgreSQL, a Temporal server and a browser beside itself: three are a fifth faster and
  // late at times.
  maxWorkers: 2,
  testTimeout: 120_000,
};
