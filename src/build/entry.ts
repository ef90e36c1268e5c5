import type { Pack } from '../packs/definition/pack';

/** Set while a bundle is looked into: its packs are then loaded one by one. */
export const INSPECT_FLAG = '__RUNBOOKS_INSPECT__';

/** Where the entry keeps its packs; not enumerable, so that it is no workflow type. */
export const PACKS_KEY = '__packs';

/**
 * The module that the bundle is made of: it exports the workflows of every pack under their own names. `pathOf` says how
 * the entry requires a pack's workflows.
 */
export function entryOf(packs: readonly Pack[], pathOf = ({ workflows }: Pack) => workflows): string {
  const loaders = packs.map(
    (pack) => `  ${JSON.stringify(pack.name)}: () => require(${JSON.stringify(pathOf(pack))}),`,
  );
  return `const packs = {
${loaders.join('\n')}
};
Object.defineProperty(exports, '${PACKS_KEY}', { value: packs });
if (globalThis.${INSPECT_FLAG} !== true) {
  for (const load of Object.values(packs)) {
    for (const [name, workflow] of Object.entries(load())) {
      if (name !== 'default' && typeof workflow === 'function') exports[name] = workflow;
    }
  }
}
`;
}
