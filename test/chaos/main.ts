/** `npm run chaos -- [--minutes 5] [--faults 200] [--seed 7] [--from 12 [--rounds 1]]`: see CONTRIBUTING.md. */
import { parseArgs } from 'node:util';
import setUp from '../support/shared/set-up';
import tearDown from '../support/shared/tear-down';
import { quietTemporal } from '../support/quiet';
import { runChaos, type Limits } from './chaos';

function readArguments(): Limits {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      faults: { type: 'string', default: 'Infinity' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      from: { type: 'string', default: '1' },
      rounds: { type: 'string', default: 'Infinity' },
    },
  });
  const numbers = Object.entries(values).map(([name, text]) => {
    const value = Number(text);
    if (!(value > 0) && !(name === 'seed' && value === 0))
      throw new Error(`--${name} needs a number above 0, got "${text}"`);
    return [name, value];
  });
  return Object.fromEntries(numbers) as Limits;
}

async function main(): Promise<void> {
  const limits = readArguments();
  const say = (text: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);
  say(`seed ${limits.seed}`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  quietTemporal();
  await setUp();
  try {
    const { table, ok } = await runChaos(limits, say);
    console.log(`\n${table}`);
    if (ok) return;
    console.log(`\nThe same draw again: npm run chaos -- --seed ${limits.seed} --from <round> --rounds 1`);
    process.exitCode = 1;
  } finally {
    await tearDown();
  }
}

main().then(
  // What is left open of a connection must not keep it.
  () => process.exit(),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
