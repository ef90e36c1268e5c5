const { createRequire } = require('node:module');
const { compileFunction } = require('node:vm');
const { default: Runtime } = require('jest-runtime');

/**
 * Loads installed packages with Node's own `require`, once for all test files of a worker; only our own modules are fresh
 * in each file. Loading Temporal's client, worker and protocol anew takes more time than most files.
 */
module.exports = class extends Runtime {
  constructor(...args) {
    super(...args);
    const { executor } = this.cjsLoader;
    // Not in a context of its own: the packages would have other classes of errors and dates than our modules.
    executor.compile = (code, filename) =>
      compileFunction(code, executor.injectedModuleParameters, { filename });
  }

  requireModule(from, name, options, actual) {
    if (name === undefined || !isPackage(name) || this._resolution.isCoreModule(name))
      return super.requireModule(from, name, options, actual);
    return createRequire(from)(name);
  }

  requireInternalModule(from, name) {
    if (name !== undefined) return super.requireInternalModule(from, name);
    // What runs the tests of a file keeps their state in its module.
    delete require.cache[from];
    return require(from);
  }
};

/** Not a path, not ourselves. */
function isPackage(name) {
  return !/^([./]|durable-runbooks($|\/))/.test(name);
}
