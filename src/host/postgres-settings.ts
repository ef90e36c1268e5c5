import { join } from 'node:path';

/** Settings of a cluster that may be lost at any moment: restores run faster, archiving can hurt nobody. */
export const DISPOSABLE_SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  archive_mode: 'off',
  max_wal_size: '8GB',
  maintenance_work_mem: '512MB',
  max_logical_replication_workers: '0',
  autovacuum: 'off',
};

export interface ClusterOptions {
  /** A folder of our own; data, log, socket and password lie in it. */
  directory: string;
  /** Folder of the PostgreSQL programs; default: found or obtained. */
  binDirectory?: string;
  port?: number;
  /** false: DISPOSABLE_SETTINGS. Never promote such a cluster. Default true. */
  durable?: boolean;
  /** Settings by name; they win over everything, ALTER SYSTEM included. */
  settings?: Record<string, string>;
}

export interface RunningCluster {
  /** Superuser URL on the loopback address, password included. */
  url: string;
  port: number;
  /** Process ID of the postmaster. */
  pid: number;
  binDirectory: string;
  systemIdentifier: string;
  directory: string;
}

export const dataOf = (directory: string): string => join(directory, 'data');
export const logOf = (directory: string): string => join(directory, 'postgres.log');
export const passwordOf = (directory: string): string => join(directory, 'superuser.password');

/** Our environment without PG*: PGHOST, PGOPTIONS and the like would lead the tools somewhere else. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^PG[A-Z]/.test(name));
  return { ...Object.fromEntries(entries), LC_MESSAGES: 'C', LC_ALL: 'C' };
}

/** `-c` arguments for the server. On the command line because nothing else wins over ALTER SYSTEM. */
export function serverArguments(directory: string, port: number, options: ClusterOptions): string[] {
  // A socket's path must fit into 107 bytes; TCP is enough where it does not.
  const socket = Buffer.byteLength(dataOf(directory)) < 85 ? dataOf(directory) : '';
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: socket,
    ...(options.durable === false ? DISPOSABLE_SETTINGS : {}),
    ...options.settings,
  };
  return [
    '-p',
    String(port),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}
