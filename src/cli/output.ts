import { randomInt } from 'node:crypto';
import { styleText } from 'node:util';
import type { Command } from 'commander';
import { printable, printableJson } from '../contract/printable';

export interface GlobalOptions {
  config?: string;
  json?: boolean;
  quiet?: boolean;
  color?: boolean;
}

type Style = Parameters<typeof styleText>[0];

/**
 * Our own colours are marked, so that those of a text from outside can be told from them: parameters that nobody else
 * knows, and that every counter of visible characters takes for a colour.
 */
const MARK = `${randomInt(1_000, 10_000)};${randomInt(1_000, 10_000)}`;
const OWN_COLOUR = new RegExp(`\\u001b\\[${MARK};([\\d;]+m)`);

/** What may go to a terminal: our own colours, and otherwise nothing that acts on it. */
function forTerminal(text: string): string {
  // Split by a pattern with a group: every second part is what that has matched.
  return text
    .split(OWN_COLOUR)
    .map((part, index) => (index % 2 === 1 ? `\u001b[${part}` : printable(part)))
    .join('');
}

function coloured(style: Style, text: string): string {
  // eslint-disable-next-line no-control-regex
  return styleText(style, printable(text)).replace(/\u001b\[([\d;]+m)/g, `\u001b[${MARK};$1`);
}

/** Writes a text that is no command's result to standard error, e.g. why it failed. */
export function writeError(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}

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
      if (!json) process.stdout.write(`${forTerminal(text)}\n`);
    },
    hint: (text) => {
      if (!json && !quiet) process.stderr.write(`${forTerminal(text)}\n`);
    },
    warn: (text) => writeError(`! ${text}`),
    document: (value) => {
      if (json) process.stdout.write(`${printableJson(value, 2)}\n`);
    },
    style: (style, text) => (colors ? coloured(style, text) : text),
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
