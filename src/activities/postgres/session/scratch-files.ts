import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { LoadedConfig } from '../../../config/load';
import { cachePath } from '../../../host/cache';
import { fail } from '../../support/failure';

/** Name of the file that says a cluster is ours; without it nothing is ever removed. */
export const SCRATCH_MARK_FILE = 'durable-runbooks-scratch.json';

/** What is known about a disposable cluster. It lies beside the data folder, readable by the worker only. */
export interface ScratchMark {
  by: 'durable-runbooks';
  scratch: string;
  service: string;
  environment: string;
  createdAt: string;
  expiresAt: string;
  major: number;
  /** Superuser URL on the loopback address; empty until the cluster runs. */
  url: string;
  systemIdentifier: string;
}

/** The folders in which disposable clusters may lie, that of `service` first. */
export function scratchBases(config: LoadedConfig, service?: string): string[] {
  const configured = Object.entries(config.services)
    .sort(([a], [b]) => Number(b === service) - Number(a === service))
    .map(([, { restore }]) => restore.scratchDirectory)
    .filter((directory) => directory !== undefined)
    .map((directory) => resolve(config.directory, directory));
  const own = service === undefined ? undefined : config.services[service]?.restore.scratchDirectory;
  const fallback = cachePath('scratch');
  const ordered = own === undefined ? [fallback, ...configured] : [...configured, fallback];
  return [...new Set(ordered)];
}

/** A folder name that is the same for the same key on every attempt, whatever the key is made of. */
export function scratchFolder(key: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/.test(key)) return key;
  const hash = createHash('sha256').update(key).digest('hex').slice(0, 16);
  return `${key
    .replace(/[^A-Za-z0-9]/g, '-')
    .replace(/^-+/, '')
    .slice(0, 60)}-${hash}`;
}

/** Where the cluster of that key lies, or undefined. */
export function findScratch(config: LoadedConfig, key: string): string | undefined {
  return scratchBases(config)
    .map((base) => join(base, scratchFolder(key)))
    .find((directory) => existsSync(join(directory, SCRATCH_MARK_FILE)));
}

/** The mark in a folder; undefined where there is none or it is not ours. */
export function readScratchMark(directory: string): ScratchMark | undefined {
  try {
    const mark = JSON.parse(readFileSync(join(directory, SCRATCH_MARK_FILE), 'utf8')) as Partial<ScratchMark>;
    return mark.by === 'durable-runbooks' && typeof mark.scratch === 'string'
      ? (mark as ScratchMark)
      : undefined;
  } catch {
    return undefined;
  }
}

/** The mark of an open cluster. Throws TargetNotOurs where this host has none of that key. */
export function scratchMark(config: LoadedConfig, key: string): ScratchMark {
  const directory = findScratch(config, key);
  const mark = directory === undefined ? undefined : readScratchMark(directory);
  if (mark === undefined || mark.scratch !== key) {
    throw fail(
      'TargetNotOurs',
      `There is no disposable cluster "${key}" of ours on this worker's host. Open it first.`,
    );
  }
  return mark;
}
