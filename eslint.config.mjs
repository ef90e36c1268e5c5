import js from '@eslint/js';
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import { builtinModules } from 'node:module';
import tseslint from 'typescript-eslint';
import { sandboxSafe, zones } from './scripts/rooms.cjs';

const code = ['**/*.ts', '**/*.tsx'];

const noEnums = { selector: 'TSEnumDeclaration', message: 'No enums: use a union of string literals.' };
const noEnvironment = [
  "MemberExpression[object.name='process'][property.name='env']",
  "MemberExpression[object.name='process'][property.value='env']",
  "VariableDeclarator[init.name='process'] Property[key.name='env']",
  "ImportDeclaration[source.value='node:process'] ImportSpecifier[imported.name='env']",
].map((selector) => ({
  selector,
  message: 'process.env is read in src/config, src/host and src/local and nowhere else.',
}));

/** What a module fixes once stands out where it is used: `MAX_BYTES`. Functions, schemas and what holds state are camelCase. */
const constantCase = ['Program', 'Program > ExportNamedDeclaration'].map((parent) => ({
  selector: `${parent} > VariableDeclaration[kind='const'] > VariableDeclarator[id.name=/[a-z]/][init.type=/^(Literal|TemplateLiteral|UnaryExpression|BinaryExpression)$/]`,
  message: 'A constant of a module is written in UPPER_SNAKE_CASE.',
}));

/** All runs of a worker share the modules of our own workflows: what one of them kept there, another would find. */
const statelessModules = ['Program', 'Program > ExportNamedDeclaration'].flatMap((parent) =>
  [
    "VariableDeclaration[kind='let']",
    "VariableDeclaration > VariableDeclarator[init.type='NewExpression'][init.callee.name=/^(Weak)?(Map|Set)$/]",
    "VariableDeclaration > VariableDeclarator[init.type='ArrayExpression'][init.elements.length=0]",
    "VariableDeclaration > VariableDeclarator[init.type='ObjectExpression'][init.properties.length=0]",
  ].map((selector) => ({
    selector: `${parent} > ${selector}`,
    message: 'A module of workflows keeps nothing: all runs of a worker share it.',
  })),
);

/** Files in src/workflows that only Node loads: cards, and the schemas that they share. */
const nodeSide = ['card', 'inputs'];

export default tseslint.config(
  { ignores: ['dist/**', 'coverage/**', 'node_modules/**', '.durable-runbooks/**'] },
  js.configs.recommended,
  {
    files: ['**/*.mjs', '**/*.cjs', '**/*.js'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          'process',
          'console',
          'setTimeout',
          'clearTimeout',
          'setInterval',
          'clearInterval',
          'URL',
          'Buffer',
          'fetch',
        ]
          .concat(['require', 'module', '__dirname', '__filename', 'exports'])
          .map((name) => [name, 'readonly']),
      ),
    },
  },
  {
    // What does not fit has a second subject, or repeats itself.
    files: ['{src,test,bench,scripts,examples}/**/*.{ts,tsx,mjs,cjs,js}'],
    rules: { 'max-lines': ['error', 300] },
  },
  {
    files: code,
    extends: [...tseslint.configs.recommendedTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    settings: {
      'import-x/extensions': ['.ts', '.tsx'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts', '.tsx'] },
      'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.tsx', '.js', '.json'] })],
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // Interfaces ask for promises where some implementations have nothing to wait for.
      '@typescript-eslint/require-await': 'off',
      // Our objects are closures: their methods do not use `this`.
      '@typescript-eslint/unbound-method': 'off',
      // Errors are rewritten for people; what caused them may carry secrets into a history.
      'preserve-caught-error': 'off',
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'import-x/no-default-export': 'error',
      'import-x/no-restricted-paths': ['error', { zones }],
      'no-restricted-syntax': ['error', noEnums],
    },
  },
  {
    files: ['src/**/*.ts', 'src/**/*.tsx'],
    rules: { 'no-restricted-syntax': ['error', noEnums, ...constantCase] },
  },
  {
    files: ['src/**/*.ts', 'src/**/*.tsx'],
    // subprocess.ts hands PATH, HOME and the like on to child processes.
    ignores: ['src/config/**', 'src/local/**', 'src/host/**', 'src/activities/support/subprocess.ts'],
    rules: { 'no-restricted-syntax': ['error', noEnums, ...constantCase, ...noEnvironment] },
  },
  {
    // What runs in the workflow sandbox: deterministic, small, and without the outside world.
    files: sandboxSafe.map((room) => `src/${room}/**/*.ts`),
    ignores: nodeSide.map((name) => `src/workflows/**/${name}.ts`),
    rules: {
      'no-restricted-syntax': ['error', noEnums, ...constantCase, ...noEnvironment, ...statelessModules],
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          paths: [
            ...builtinModules.map((name) => ({ name, message: 'Workflows use no Node built-ins.' })),
            { name: 'zod', message: 'Schemas stay on the Node side: in the card.', allowTypeImports: true },
          ],
          patterns: [
            { regex: '^node:', message: 'Workflows use no Node built-ins.' },
            {
              regex: '(^|/)activities(/|$)',
              message: 'Workflows import only the types of activities.',
              allowTypeImports: true,
            },
            {
              regex: '(/card|/inputs)$',
              message: 'A procedure imports only the types of what is on the Node side.',
              allowTypeImports: true,
            },
          ],
        },
      ],
      'no-restricted-globals': ['error', 'process', 'Buffer', 'require', 'setImmediate', 'fetch'],
    },
  },
  {
    // What `packs:` of a configuration names exports its pack as the default.
    files: ['examples/pack/src/index.ts'],
    rules: { 'import-x/no-default-export': 'off' },
  },
  {
    // The runner of Node waits for its tests itself.
    files: ['examples/pack/src/*.test.ts'],
    rules: { '@typescript-eslint/no-floating-promises': 'off' },
  },
  {
    files: ['test/**/*.ts', 'test/**/*.tsx'],
    rules: {
      // Tests look into plain data: JSON, rows, what a mock was called with.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
);
