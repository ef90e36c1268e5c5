/** Exit codes that scripts can rely on; docs/cli.md explains them. */
export const EXIT = {
  success: 0,
  runFailed: 1,
  usage: 2,
  needsHuman: 3,
  unreachable: 4,
  notFound: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Thrown for everything that a person can put right: one paragraph that says what to do next, and an exit code. */
export class CliError extends Error {
  constructor(
    readonly exitCode: ExitCode,
    message: string,
  ) {
    super(message);
    this.name = 'CliError';
  }
}

const ENDED_BADLY = ['FAILED', 'PARTIAL', 'ROLLED_BACK', 'REJECTED', 'CANCELLED'];

/** The exit code of a run's outcome; a run that has not ended counts as success. */
export function exitCodeOf(outcome: string | undefined): ExitCode {
  if (outcome === 'NEEDS_HUMAN') return EXIT.needsHuman;
  return outcome !== undefined && ENDED_BADLY.includes(outcome) ? EXIT.runFailed : EXIT.success;
}
