import { availableParallelism, totalmem } from 'node:os';

/**
 * Settings of a disposable cluster beside those that turn durability off: as fast as this machine allows, and nothing
 * of the source can be reached from it. Its times are no recovery times.
 */
export function disposableSettings(): Record<string, string> {
  const memoryMb = Math.floor(totalmem() / 1024 / 1024);
  const cores = availableParallelism();
  return {
    max_connections: '50',
    max_wal_size: '16GB',
    checkpoint_timeout: '1h',
    // A restored subscription would steal the slot of the real one; extensions that run jobs stay off.
    max_logical_replication_workers: '0',
    shared_preload_libraries: '',
    shared_buffers: `${clamp(Math.floor(memoryMb / 8), 64, 1_024)}MB`,
    maintenance_work_mem: `${clamp(Math.floor(memoryMb / 16), 64, 512)}MB`,
    work_mem: '32MB',
    max_worker_processes: String(Math.max(4, cores * 2)),
    max_parallel_maintenance_workers: String(clamp(cores - 1, 1, 4)),
    max_parallel_workers_per_gather: String(clamp(cores - 1, 1, 4)),
    client_connection_check_interval: '2s',
  };
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}
