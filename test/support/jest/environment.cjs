const { ModuleMocker } = require('jest-mock');
const { initializeGarbageCollectionUtils } = require('jest-util');

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Runs test files in the context of the worker itself instead of one of their own, so that they can share the packages
 * that the worker has loaded (see runtime.cjs). What a file changes of the process is put back after it.
 */
module.exports = class {
  global = globalThis;
  moduleMocker = new ModuleMocker(globalThis);
  fakeTimers = null;
  fakeTimersModern = null;
  #before = snapshot();

  constructor({ projectConfig }) {
    initializeGarbageCollectionUtils(globalThis, 'off');
    Object.assign(globalThis, projectConfig.globals);
  }

  async setup() {}

  async teardown() {
    this.#before.restore();
  }

  exportConditions() {
    return ['node', 'node-addons'];
  }

  getVmContext() {
    return null;
  }
};

function snapshot() {
  const names = Reflect.ownKeys(globalThis);
  const { console } = globalThis;
  const { exit, exitCode } = process;
  const env = { ...process.env };
  const directory = process.cwd();
  const listeners = SIGNALS.flatMap((signal) => process.rawListeners(signal));
  return {
    restore() {
      for (const name of Reflect.ownKeys(globalThis)) if (!names.includes(name)) delete globalThis[name];
      globalThis.console = console;
      Object.assign(process, { exit, exitCode });
      for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
      Object.assign(process.env, env);
      process.chdir(directory);
      for (const signal of SIGNALS)
        for (const listener of process.rawListeners(signal))
          if (!listeners.includes(listener)) process.removeListener(signal, listener);
    },
  };
}
