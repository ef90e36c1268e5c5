import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { startTemporal } from '../../src/local/temporal';
import { duringTests, standIn } from '../support/stand-in';
import { startLine } from './intake-support';

async function startOnLine() {
  const directory = mkdtempSync(join(tmpdir(), 'alerts-test-'));
  const temporal = await startTemporal({ directory, ephemeral: true });
  const connection = await Connection.connect({ address: temporal.address });
  const line = await startLine(temporal.port);
  return {
    address: temporal.address,
    client: new Client({ connection }),
    line,
    stop: async () => {
      await line.stop();
      await connection.close();
      await temporal.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A Temporal from the first test of a file to its last, and a line to it, which is open when a test begins. */
export function useTemporal() {
  const made = duringTests(startOnLine);
  afterEach(() => made.line.set('open'));
  return {
    /** Past the line. */
    get address() {
      return made.address;
    },
    client: standIn(() => made.client),
    line: standIn(() => made.line),
  };
}
