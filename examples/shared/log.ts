/**
 * The log of the sample application, as JSON lines in the folder of its state. As a program it prints those since
 * RUNBOOKS_SINCE, an ISO time.
 */
import { appendFileSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface LogLine {
  at: string;
  level: 'warn' | 'error';
  message: string;
  requestId?: string;
  path?: string;
  status?: number;
  stack?: string | undefined;
}

const FILES = ['app.log.1', 'app.log'];
const MAX_BYTES = 4_000_000;

/** Writes into a folder; without one nothing is written. The file before is kept, and no other. */
export function createLog(directory?: string): (line: Omit<LogLine, 'at'>) => void {
  if (directory === undefined) return () => undefined;
  const [before, current] = FILES.map((name) => join(directory, name)) as [string, string];
  return (line) => {
    if ((statSync(current, { throwIfNoEntry: false })?.size ?? 0) > MAX_BYTES) renameSync(current, before);
    appendFileSync(current, `${JSON.stringify({ at: new Date().toISOString(), ...line })}\n`);
  };
}

function readLog(directory: string, since: string): string[] {
  const lines = FILES.flatMap((name) => {
    const path = join(directory, name);
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return [];
    return readFileSync(path, 'utf8').split('\n');
  });
  return lines.filter((line) => line !== '' && (JSON.parse(line) as LogLine).at >= since);
}

if (require.main === module) {
  for (const line of readLog(process.cwd(), process.env['RUNBOOKS_SINCE'] ?? '')) console.log(line);
}
