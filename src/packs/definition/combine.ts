import { createCatalogue, type Catalogue, type Project } from '../../catalogue/catalogue';
import { environmentSchema, serviceSchema, type configSchema } from '../../config/schema';
import { configSchemaWith, type PackSettings } from '../../config/settings';
import { PackError, type ActivityFunctions, type Pack, type PackDeps } from './pack';

/** A configuration with the packs that it was parsed with: our own, then those that it names. */
export interface LoadedProject extends Project {
  installed: readonly Pack[];
}

/** What several packs come to together. */
export interface Combined {
  catalogue: Catalogue;
  schema: typeof configSchema;
}

/** Puts packs side by side. Throws PackError with everything that two of them claim. */
export function combinePacks(packs: readonly Pack[]): Combined {
  const problems = [
    ...claimedTwice(packs, ({ name }) => [name]).map(
      ([name]) => `two packs are called "${name}"; a pack's name must be its own`,
    ),
    ...claimedTwice(packs, ({ cards }) => cards.map(({ name }) => name)).map(
      ([name, one, other]) =>
        `two runbooks are called "${name}": of pack ${one} and of pack ${other}. Rename one: it is a wire name`,
    ),
    ...(['service', 'environment'] as const).flatMap((part) => sectionProblems(packs, part)),
  ];
  if (problems.length > 0) throw new PackError(problems);
  return {
    catalogue: createCatalogue(packs.flatMap(({ cards }) => cards)),
    schema: configSchemaWith(packs.flatMap(({ settings }) => (settings === undefined ? [] : [settings]))),
  };
}

/** The activities of all packs. Throws PackError when two have one name, and when a pack's cannot be made. */
export function createPackActivities(packs: readonly Pack[], deps: PackDeps): ActivityFunctions {
  const made = packs.map((pack) => ({ pack: pack.name, activities: activitiesOf(pack, deps) }));
  const twice = made.flatMap(({ pack, activities }, index) =>
    made.slice(0, index).flatMap((earlier) =>
      Object.keys(activities)
        .filter((name) => Object.hasOwn(earlier.activities, name))
        .map(
          (name) =>
            `two activities are called "${name}": of pack ${earlier.pack} and of pack ${pack}. Rename one: it is a wire name`,
        ),
    ),
  );
  if (twice.length > 0) throw new PackError(twice);
  return Object.assign({}, ...made.map(({ activities }) => activities)) as ActivityFunctions;
}

function activitiesOf(pack: Pack, deps: PackDeps): ActivityFunctions {
  try {
    return pack.activities(deps);
  } catch (error) {
    throw new PackError([`pack ${pack.name}: its activities cannot be made: ${(error as Error).message}`]);
  }
}

const OURS = { service: serviceSchema, environment: environmentSchema };

function sectionProblems(packs: readonly Pack[], part: keyof PackSettings): string[] {
  const where = part === 'service' ? 'services.<name>' : 'services.<name>.environments.<name>';
  const keysOf = ({ settings }: Pack) => Object.keys(settings?.[part]?.shape ?? {});
  const ours = packs.flatMap((pack) =>
    keysOf(pack)
      .filter((key) => key in OURS[part].shape)
      .map((key) => `pack ${pack.name} declares ${where}.${key}, which every configuration has. Rename it`),
  );
  const twice = claimedTwice(packs, keysOf).map(
    ([key, one, other]) => `${where}.${key} is declared by pack ${one} and by pack ${other}. Rename one`,
  );
  return [...ours, ...twice];
}

/** Names that two packs claim, or one twice: the name, who had it first, who has it again. */
function claimedTwice(packs: readonly Pack[], namesOf: (pack: Pack) => string[]): [string, string, string][] {
  const owners = new Map<string, string>();
  return packs.flatMap((pack) =>
    namesOf(pack).flatMap((name): [string, string, string][] => {
      const owner = owners.get(name);
      owners.set(name, owner ?? pack.name);
      return owner === undefined ? [] : [[name, owner, pack.name]];
    }),
  );
}
