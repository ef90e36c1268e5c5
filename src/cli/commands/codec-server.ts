import type { Command } from 'commander';
import { outputOf } from '../output';
import { requiredConfig } from '../settings';

export function addCodecServer(program: Command): void {
  program
    .command('codec-server')
    .description(
      'what the Temporal UI asks to show what temporal.codec encrypted; it ends on SIGINT or SIGTERM',
    )
    .action(async (_: unknown, command: Command) => {
      const { stopSignal } = await import('../../host/stop-signal.js');
      const { startCodecServer } = await import('../../worker/codec-server.js');
      const told = stopSignal();
      const { url, stop } = await startCodecServer(await requiredConfig(command));
      outputOf(command).line(`decodes at ${url}: that is the codec endpoint to set in the Temporal UI`);
      await told;
      await stop();
    });
}
