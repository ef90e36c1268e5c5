import { AsyncLocalStorage } from 'node:async_hooks';
import assert from 'node:assert';
import { createContext, Script } from 'node:vm';
import type { Pack } from '../packs/definition/pack';
import { INSPECT_FLAG, PACKS_KEY } from './entry';

type Loaded = Record<string, unknown>;
interface BundleGlobals {
  __TEMPORAL__?: { importWorkflows(): { [PACKS_KEY]: Record<string, () => Loaded> } };
}

/**
 * What a bundle offers and the cards do not, or the other way round, as sentences that name the pack. Runs the bundle's
 * modules in a context of their own, as a worker would.
 */
export function procedureProblems(code: string, packs: readonly Pack[]): string[] {
  const modules = modulesOf(code);
  const owners = new Map<string, string>();
  return packs.flatMap((pack) => {
    let exported: Loaded;
    try {
      exported = modules[pack.name]!();
    } catch (error) {
      return [
        `pack ${pack.name}: its workflows cannot be loaded: ${(error as Error).message} (${pack.workflows})`,
      ];
    }
    return [...mismatches(pack, exported), ...doubled(pack.name, exported, owners)];
  });
}

function modulesOf(code: string): Record<string, () => Loaded> {
  const globals: BundleGlobals & Record<string, unknown> = {
    ...{
      assert,
      AsyncLocalStorage,
      AbortController,
      TextEncoder,
      TextDecoder,
      URL,
      URLSearchParams,
      console,
    },
    __webpack_module_cache__: {},
    [INSPECT_FLAG]: true,
  };
  const context = createContext(globals);
  const keep = new Script('({ Date, random: Math.random })').runInContext(context) as object;
  new Script(code, { filename: 'workflows.bundle.js' }).runInContext(context);
  // The SDK's clock belongs to a run, and there is none.
  globals['kept'] = keep;
  new Script('Date = kept.Date; Math.random = kept.random; delete globalThis.kept').runInContext(context);
  return globals.__TEMPORAL__!.importWorkflows()[PACKS_KEY];
}

function mismatches({ name, cards, entities = [], workflows }: Pack, exported: Loaded): string[] {
  const functions = Object.keys(exported).filter(
    (key) => key !== 'default' && typeof exported[key] === 'function',
  );
  const runbooks = cards.map((card) => card.name);
  const known = functions.join(', ') || 'nothing';
  return [
    ...[...runbooks, ...entities]
      .filter((wanted) => !functions.includes(wanted))
      .map(
        (wanted) =>
          `pack ${name}: ${runbooks.includes(wanted) ? 'the card' : 'the entity'} ${wanted} has no procedure: ${workflows} exports ${known}`,
      ),
    ...functions
      .filter((key) => !runbooks.includes(key) && !entities.includes(key))
      .map(
        (key) =>
          `pack ${name}: the procedure ${key} has no card. Add one of that name to \`cards\`, or to \`entities\` if it is no runbook`,
      ),
    ...functions
      .filter((key) => runbooks.includes(key) && (exported[key] as { name: string }).name !== key)
      .map(
        (key) =>
          `pack ${name}: the procedure exported as ${key} calls itself ${(exported[key] as { name: string }).name}. Write runbook('${key}', ...)`,
      ),
  ];
}

function doubled(pack: string, exported: Loaded, owners: Map<string, string>): string[] {
  return Object.keys(exported).flatMap((name) => {
    const owner = owners.get(name);
    owners.set(name, owner ?? pack);
    return owner === undefined || typeof exported[name] !== 'function'
      ? []
      : [
          `two workflows are called "${name}": of pack ${owner} and of pack ${pack}. Rename one: it is a wire name`,
        ];
  });
}
