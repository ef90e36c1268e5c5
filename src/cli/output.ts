import { styleText } from 'node:util';
import type { Command } from 'commander';

export interface GlobalOptions {
  config?: string;
  json?: boolean;
  quiet?: boolean;
  color?: boolean;
}

type Style = Parameters<typeof styleText>[0];

/** Where a command writes: results on stdout, hints on stderr, one JSON document with --json. */
export interface Output {
  json: boolean;
  /** Someone sits there: progress may be redrawn and questions asked. */
  interactive: boolean;
  /** Writes a line of the result. Silent with --json. */
  line(text?: string): void;
  /** Writes a line that is no result. Silent with --quiet and --json. */
  hint(text: string): void;
  /** Writes what must be known whatever was asked for. */
  warn(text: string): void;
  /** Writes the one JSON document. Silent without --json. */
  document(value: unknown): void;
  style(style: Style, text: string): string;
}

/** The output of a command, from the global options. NO_COLOR and FORCE_COLOR count as Node defines them. */
export function outputOf(command: Command): Output {
  const { json = false, quiet = false, color = true } = command.optsWithGlobals<GlobalOptions>();
  const colors = color && !json && (process.stdout.isTTY === true ? process.stdout.hasColors() : false);
  return {
    json,
    interactive: process.stdout.isTTY === true && process.stdin.isTTY === true && !json && !quiet,
    line: (text = '') => {
      if (!json) process.stdout.write(`${text}\n`);
    },
    hint: (text) => {
      if (!json && !quiet) process.stderr.write(`${text}\n`);
    },
    warn: (text) => void process.stderr.write(`! ${text}\n`),
    document: (value) => {
      if (json) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    },
    style: (style, text) => (colors ? styleText(style, text) : text),
  };
}

const OUTCOME_STYLE: Record<string, Style> = {
  SUCCEEDED: ['green', 'bold'],
  NOTHING_TO_DO: 'green',
  OBSERVED: 'cyan',
  RUNNING: 'blue',
  NEEDS_HUMAN: ['white', 'bgRed', 'bold'],
};

/** An outcome in its colour; every other one is a bad one. */
export function styledOutcome(output: Output, outcome: string): string {
  return output.style(OUTCOME_STYLE[outcome] ?? ['red', 'bold'], outcome);
}
