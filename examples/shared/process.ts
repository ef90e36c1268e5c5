import type { FastifyInstance } from 'fastify';
import { Gauge, type Registry } from 'prom-client';
import { keepRecent } from './recent';

const LOOK_EVERY_MS = 500;

interface Look {
  atMs: number;
  cpuMs: number;
  bytes: number;
}

/** What the process uses, over the window. Returns how to stop looking. */
export function addProcess(
  server: FastifyInstance,
  {
    service,
    windowSeconds,
    memoryLimitMegabytes,
  }: { service: string; windowSeconds: number; memoryLimitMegabytes: () => number },
  registers: Registry[],
): () => void {
  const looks = keepRecent<Look>(windowSeconds);
  const look = (): void => {
    const { user, system } = process.cpuUsage();
    looks.add({ atMs: performance.now(), cpuMs: (user + system) / 1_000, bytes: process.memoryUsage.rss() });
  };
  look();
  const timer = setInterval(look, LOOK_EVERY_MS);
  timer.unref();
  const read = () => {
    const all = looks.read();
    const [first, last] = [all[0], all.at(-1)];
    const tookMs = first === undefined || last === undefined ? 0 : last.atMs - first.atMs;
    const memoryBytes = process.memoryUsage.rss();
    return {
      // Of one processor.
      cpuUtilisation: tookMs > 0 ? (last!.cpuMs - first!.cpuMs) / tookMs : null,
      memoryBytes,
      memoryUtilisation: memoryBytes / (memoryLimitMegabytes() * 1_000_000),
      // Of a moment it would say nothing.
      memoryGrowthBytesAnHour:
        tookMs > windowSeconds * 500 ? ((last!.bytes - first!.bytes) / tookMs) * 3_600_000 : null,
      windowSeconds,
    };
  };
  server.get('/api/metrics/process', read);
  const gauge = (name: string, help: string, value: () => number | null): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const now = value();
        if (now === null) this.remove();
        else this.set(now);
      },
    });
  };
  gauge(`${service}_cpu_utilisation`, 'Share of one processor that is in use.', () => read().cpuUtilisation);
  gauge(`${service}_memory_bytes`, 'Memory of the process.', () => read().memoryBytes);
  return () => clearInterval(timer);
}
