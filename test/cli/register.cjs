// Runs the TypeScript sources in a plain `node` process, so that tests need no build: node -r ./test/cli/register.cjs src/cli/main.ts
const { readFileSync } = require('node:fs');
const Module = require('node:module');
const { transformSync } = require('@swc/core');

const resolveFilename = Module._resolveFilename;
Module._resolveFilename = function (request, parent, ...rest) {
  try {
    return resolveFilename.call(this, request, parent, ...rest);
  } catch (error) {
    // `import('./x.js')` means x.ts while nothing is built.
    if (!/^\.{1,2}\/.*\.js$/.test(request)) throw error;
    for (const extension of ['.ts', '.tsx']) {
      try {
        return resolveFilename.call(this, request.replace(/\.js$/, extension), parent, ...rest);
      } catch {
        // The next one.
      }
    }
    throw error;
  }
};

function compile(module, filename) {
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    filename,
    sourceMaps: 'inline',
    jsc: {
      target: 'es2022',
      parser: { syntax: 'typescript', tsx: filename.endsWith('x') },
      transform: { react: { runtime: 'automatic', importSource: 'preact' } },
    },
    module: { type: 'commonjs' },
  });
  module._compile(code, filename);
}

Module._extensions['.ts'] = compile;
Module._extensions['.tsx'] = compile;
