import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { serve } from '../support/local-server';

interface Advisory {
  id: number;
  url: string;
  title: string;
  severity: 'critical' | 'high' | 'moderate' | 'low';
  vulnerable_versions: string;
}

export interface NpmRegistry {
  /** How it answers everything. */
  mood: 'well' | 'down' | 'html';
  /** By package. */
  advisories: Record<string, Advisory[]>;
  /** Of a repository that uses `left`, `right` and `stuck`, each at 1.0.0, with a lockfile; the last is not installed. */
  directory: string;
  /** `npm <verb> --json` against this registry, in that repository. */
  command: (verb: string) => { run: string[]; directory: string; timeoutSeconds: number };
  reset: () => void;
  stop: () => Promise<void>;
}

const VERSIONS: Record<string, string[]> = {
  left: ['1.0.0', '1.0.1'],
  right: ['1.0.0', '2.0.0'],
  stuck: ['1.0.0'],
};

const advisory = (id: number, severity: Advisory['severity'], title: string, range: string): Advisory => ({
  ...{ id, severity, title, vulnerable_versions: range },
  url: `https://github.com/advisories/GHSA-${id}`,
});

/** What npm asks a registry for in `audit` and `outdated`: the versions of a package, and advisories in bulk. */
export async function startNpmRegistry(): Promise<NpmRegistry> {
  const directory = mkdtempSync(join(tmpdir(), 'repository-'));
  const registry = { directory } as NpmRegistry;
  registry.reset = () => {
    registry.mood = 'well';
    registry.advisories = {
      left: [advisory(1, 'moderate', 'Left leaks', '<1.0.1')],
      right: [advisory(2, 'critical', 'Right runs what it is given', '<2.0.0')],
      stuck: [advisory(3, 'high', 'Stuck hangs', '*')],
    };
  };
  registry.reset();

  const server = await serve((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const say = (status: number, json: unknown) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(json));
      };
      if (registry.mood === 'down') return say(503, { error: 'down for maintenance' });
      if (registry.mood === 'html') {
        response.writeHead(200, { 'content-type': 'text/html' });
        return response.end('<html>Please log in</html>');
      }
      if (request.url === '/-/npm/v1/security/advisories/bulk') {
        const body = Buffer.concat(chunks);
        const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
        const asked = Object.keys(JSON.parse(text.toString()) as object);
        const known = asked.filter((name) => name in registry.advisories);
        return say(200, Object.fromEntries(known.map((name) => [name, registry.advisories[name]])));
      }
      const name = request.url!.slice(1);
      const versions = VERSIONS[name];
      return versions === undefined ? say(404, { error: 'Not found' }) : say(200, packument(name, versions));
    });
  });
  const packument = (name: string, versions: string[]) => ({
    name,
    'dist-tags': { latest: versions.at(-1) },
    versions: Object.fromEntries(versions.map((version) => [version, manifest(name, version)])),
  });
  const manifest = (name: string, version: string) => ({
    ...{ name, version },
    dist: { tarball: `${server.url}/${name}/-/${name}-${version}.tgz`, integrity: INTEGRITY },
  });
  const dependencies = Object.fromEntries(Object.keys(VERSIONS).map((name) => [name, '^1.0.0']));
  const root = { name: 'shop', version: '1.0.0', dependencies };
  const packages = Object.keys(VERSIONS).map((name) => {
    const { version, dist } = manifest(name, '1.0.0');
    return [`node_modules/${name}`, { version, resolved: dist.tarball, integrity: dist.integrity }];
  });
  writeFileSync(join(directory, 'package.json'), JSON.stringify(root));
  writeFileSync(
    join(directory, 'package-lock.json'),
    JSON.stringify({
      ...{ name: 'shop', version: '1.0.0', lockfileVersion: 3, requires: true },
      packages: { '': root, ...Object.fromEntries(packages) },
    }),
  );
  for (const name of ['left', 'right']) {
    mkdirSync(join(directory, 'node_modules', name), { recursive: true });
    const file = join(directory, 'node_modules', name, 'package.json');
    writeFileSync(file, JSON.stringify({ name, version: '1.0.0' }));
  }
  registry.command = (verb) => ({
    run: [
      'npm',
      verb,
      '--json',
      '--registry',
      server.url,
      '--fetch-retries',
      '0',
      '--cache',
      join(directory, '.cache'),
    ],
    directory,
    timeoutSeconds: 60,
  });
  registry.stop = async () => {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  return registry;
}

const INTEGRITY = `sha512-${Buffer.alloc(64).toString('base64')}`;
