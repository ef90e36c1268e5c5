import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { VERSION } from '../config/version';
import { cachePath } from '../host/cache';
import type { LoadedProject } from '../packs/definition/combine';
import type { Pack } from '../packs/definition/pack';
import { ownPacks } from '../packs/own';
import { OWN_BUNDLE } from './paths';

export interface ProjectBundle {
  /** Of our own packs alone it is the one that came with this package. */
  code: string;
  path: string;
  /** Whether it was made just now. */
  built: boolean;
}

/** What a bundle was made of, kept beside it. Paths are relative to the configuration's folder. */
interface Manifest {
  version: string;
  packs: Record<string, string>;
  /** SHA-256 by path, of the inputs and of the bundle itself. */
  files: Record<string, string>;
  code: string;
}

type Bundled = Pick<LoadedProject, 'installed' | 'directory'>;

/** The prebuilt bundle of our own packs. Throws when it is missing: it comes with the package. */
export function workflowBundle(): { codePath: string } {
  if (existsSync(OWN_BUNDLE)) return { codePath: OWN_BUNDLE };
  throw new Error(`the workflow bundle ${OWN_BUNDLE} is missing. Run \`npm run build\`.`);
}

/**
 * The bundle of a project's packs: the prebuilt one where they are only ours, else the one built before if nothing that
 * went into it has changed, else built now. Throws PackError.
 */
export async function bundleOf(project: Bundled, { again = false } = {}): Promise<ProjectBundle> {
  if (project.installed.every((pack) => ownPacks.includes(pack))) {
    const path = workflowBundle().codePath;
    return { code: readFileSync(path, 'utf8'), path, built: false };
  }
  const fresh = again
    ? undefined
    : foldersOf(project)
        .map((folder) => readFresh(folder, project))
        .find(Boolean);
  return fresh ?? build(project);
}

async function build(project: Bundled): Promise<ProjectBundle> {
  const { bundlePacks } = await import('./bundle-packs.js');
  const folder = writableOf(foldersOf(project));
  const name = nameOf(project);
  const { code, inputs } = await bundlePacks(project.installed, {
    entry: join(folder, `${name}-entry.cjs`),
    context: project.directory,
    own: ownPacks,
  });
  const manifest: Manifest = {
    version: VERSION,
    packs: workflowsOf(project),
    files: Object.fromEntries(
      inputs.map((file) => [relative(project.directory, file), hashOf(readFileSync(file))]),
    ),
    code: hashOf(code),
  };
  const path = join(folder, `${name}.bundle.js`);
  writeWhole(path, code);
  writeWhole(join(folder, `${name}.json`), JSON.stringify(manifest));
  return { code, path, built: true };
}

/** The bundle in that folder, if it was made of what is there now. */
function readFresh(folder: string, project: Bundled): ProjectBundle | undefined {
  const name = nameOf(project);
  const path = join(folder, `${name}.bundle.js`);
  try {
    const manifest = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as Manifest;
    const code = readFileSync(path, 'utf8');
    const fresh =
      manifest.version === VERSION &&
      manifest.code === hashOf(code) &&
      JSON.stringify(manifest.packs) === JSON.stringify(workflowsOf(project)) &&
      Object.entries(manifest.files).every(
        ([file, hash]) => hashOf(readFileSync(resolve(project.directory, file))) === hash,
      );
    return fresh ? { code, path, built: false } : undefined;
  } catch {
    // Not there, or one of its inputs is not.
    return undefined;
  }
}

/** Beside the configuration, so that a bundle built for an image comes along with it; else the cache of this host. */
function foldersOf({ directory }: Bundled): string[] {
  return [join(directory, '.durable-runbooks'), cachePath('bundles', hashOf(directory).slice(0, 16))];
}

function writableOf(folders: string[]): string {
  for (const folder of folders.slice(0, -1)) {
    try {
      mkdirSync(folder, { recursive: true });
      const probe = join(folder, `.${process.pid}`);
      writeFileSync(probe, '');
      renameSync(probe, join(folder, '.writable'));
      return folder;
    } catch {
      // A configuration that is mounted read only.
    }
  }
  return folders.at(-1)!;
}

/** Another set of packs in the same folder has a bundle of its own. */
function nameOf(project: Bundled): string {
  return `workflows-${hashOf(JSON.stringify(workflowsOf(project))).slice(0, 8)}`;
}

function workflowsOf({ installed, directory }: Bundled): Record<string, string> {
  return Object.fromEntries(
    installed.map(({ name, workflows }: Pack) => [name, relative(directory, workflows)]),
  );
}

/** Several workers may start at once. */
function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.${process.pid}`, text);
  renameSync(`${path}.${process.pid}`, path);
}

function hashOf(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
