/** What a folder of migrations holds, as paths from it with `/` between; `text` reads one of them. */
export interface Folder {
  files: readonly string[];
  text(path: string): string;
}

/** One migration of a folder. */
export interface Entry {
  /** As the ledger knows it, and as people ask for it. */
  name: string;
  /** Path of its script. */
  up: string;
  /** Path of its way back; undefined where there is none. */
  down: string | undefined;
  /** Where its way back would be looked for; undefined where the layout knows of none. */
  downPath: string | undefined;
}

/** A file that is no migration, although it could be taken for one. */
export interface Skipped {
  file: string;
  why: string;
}

export interface Sorted {
  /** In the order in which they apply. */
  migrations: Entry[];
  skipped: Skipped[];
}

/** How a project lays out its migrations. It reads names, and of the files only what gives the order. */
export interface Layout {
  /** How its files are called, for people. */
  shape: string;
  /** A file which shows that a folder is laid out like this; undefined where there is none. */
  signOf(folder: Folder): string | undefined;
  /** Whether a migration could be called that. */
  isName(name: string): boolean;
  sort(folder: Folder): Sorted;
  /** Whether a migration is applied by what the tool's own table says, where that is not its name. */
  isApplied?(name: string, told: readonly string[]): boolean;
}

/** Names only: nothing that leads out of the folder. */
export const NAME = '[A-Za-z0-9_][A-Za-z0-9_.-]*';

/** What the files of a layout are. */
export interface Rules {
  shape: string;
  /** Of a script: the name of its migration, and what joins it with its way back. */
  up(path: string): { name: string; key: string } | undefined;
  /** Of a way back: what joins it with its migration. */
  down?(path: string): string | undefined;
  /** Where the way back of a migration is looked for. */
  downPath?(key: string, name: string): string;
  /** Of the tool itself, e.g. a lock file. */
  own?(path: string): boolean;
  /** Why a file is none of them, where there is more to say than how they are called. */
  why?(path: string): string | undefined;
  /** Default: by name. */
  compare?(a: Keyed, b: Keyed): number;
}

export interface Keyed {
  name: string;
  key: string;
}

export const byName = (a: Keyed, b: Keyed): number => compareText(a.name, b.name);

/** By code units, as in any locale. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Puts every file in its place: scripts are the migrations, ways back join theirs, and the rest is said. */
export function sortFiles({ files }: Folder, rules: Rules): Sorted {
  const found: (Keyed & { up: string })[] = [];
  const downs = new Map<string, string>();
  const rest: string[] = [];
  for (const path of files) {
    const down = rules.down?.(path);
    const up = down === undefined ? rules.up(path) : undefined;
    if (down !== undefined) downs.set(down, path);
    else if (up !== undefined) found.push({ ...up, up: path });
    else if (rules.own?.(path) !== true && !isBystander(path)) rest.push(path);
  }
  const keys = new Set(found.map(({ key }) => key));
  const alone = [...downs].filter(([key]) => !keys.has(key)).map(([, path]) => path);
  return {
    migrations: found.sort(rules.compare ?? byName).map(({ name, key, up }) => ({
      name,
      up,
      down: downs.get(key),
      downPath: rules.downPath?.(key, name),
    })),
    skipped: [
      ...rest.map((file) => ({ file, why: rules.why?.(file) ?? whyOdd(file, rules.shape) })),
      ...alone.map((file) => ({
        file,
        why: 'it is a way back, and the migration that it belongs to is not there',
      })),
    ].sort((a, b) => compareText(a.file, b.file)),
  };
}

/** Notes and hidden files are no migrations of any tool. */
function isBystander(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (/\.sql$/i.test(name)) return false;
  return /(^|\/)\./.test(path) || /^(readme|license|changelog)\b|\.(md|txt)$/i.test(name);
}

function whyOdd(path: string, shape: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (!/\.sql$/i.test(name)) return `it is no SQL file; migrations here are ${shape}`;
  if (!name.endsWith('.sql')) return 'it does not end with .sql in small letters';
  if (/(^|\/)\./.test(path)) return 'it is hidden';
  if (!new RegExp(`^(${NAME}/)*${NAME}$`).test(path))
    return 'a name has letters, digits, dots, dashes and underscores only';
  return `migrations here are ${shape}`;
}
