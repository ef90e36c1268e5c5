/** Packs in plain JavaScript, as their builds leave them. */

const CARD = `{ title: 'Greet', area: 'greetings', priority: 'P3', symptoms: [], impact: 'none', diagnosis: [], resolution: [],
  prevention: [], escalation: [], changes: 'nothing', input: {}, example: { service: 'shop' } }`;

export interface PlainPack {
  name?: string;
  /** Names of its cards. */
  cards?: string[];
  /** The module with its procedures. */
  workflows?: string;
  /** Members of the object of its activities. */
  activities?: string;
  settings?: string;
  esm?: boolean;
}

const procedure = (name: string): string =>
  `exports.${name} = runbook('${name}', async (input, run) => run.step('Greet', (act) => act.greet()));`;

/** Workflows with a procedure of each of these names, which calls `greet`. */
export function procedures(...names: string[]): string {
  return `const { runbook } = require('durable-runbooks/workflow');\n${names.map(procedure).join('\n')}\n`;
}

/** The files of a pack, by their names. */
export function filesOf(pack: PlainPack = {}): Record<string, string> {
  const { name = 'plain', cards = ['greet'], activities = "greet: async () => 'hello'", esm = false } = pack;
  const made = cards.map((card) => `card({ name: '${card}', ...CARD })`).join(', ');
  const imported = esm
    ? "import { card, definePack, z } from 'durable-runbooks';"
    : "const { card, definePack, z } = require('durable-runbooks');";
  const path = esm
    ? "import.meta.resolve('./workflows.cjs').slice('file://'.length)"
    : "require.resolve('./workflows.cjs')";
  return {
    'package.json': JSON.stringify({ name, main: 'index.js', type: esm ? 'module' : 'commonjs' }),
    'workflows.cjs': pack.workflows ?? procedures(...cards),
    'index.js': `${imported}
const CARD = ${CARD};
const pack = definePack({
  name: '${name}',
  cards: [${made}],
  workflows: ${path},
  activities: () => ({ ${activities} }),
  settings: ${pack.settings ?? 'undefined'},
});
${esm ? 'export default pack' : 'exports.default = pack'};
`,
  };
}
