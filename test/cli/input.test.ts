import { Readable } from 'node:stream';
import { ownCatalogue } from '../../src/packs/own';
import { findCard } from '../../src/cli/cards';
import { CliError, exitCodeOf } from '../../src/cli/errors';
import { fieldsOf, flagOf } from '../../src/catalogue/input-fields';
import { firstOf } from '../../src/cli/commands/status';
import { checkInput, parseFlag, readInput } from '../../src/cli/input';
import { createProgram } from '../../src/cli/main';
import { VERSION } from '../../src/config/version';
import { quote } from '../../src/contract/answer-commands';
import { formatTable, hang, pasteLines } from '../../src/cli/table';
import { startAddress } from '../../src/contract/ui-address';
import { newWorkflowId } from '../../src/cli/workflow-id';

const card = findCard(ownCatalogue, 'migrateDatabase');

function messageOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    expect(error).toBeInstanceOf(CliError);
    expect((error as CliError).exitCode).toBe(2);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

it('has --version for the runbook that is started, and for the program elsewhere', async () => {
  const starting = await createProgram(['start', 'deployApplication', '--version', '1.4.2']);
  expect(starting.version()).toBeUndefined();
  expect((await createProgram(['list', '--version'])).version()).toBe(VERSION);
});

describe('the input of a runbook', () => {
  it.each(ownCatalogue.cards.map((one) => [one.name, one] as const))(
    'example of %s is a good one',
    (_, one) => {
      expect(checkInput(one, one.example, undefined)).toEqual(one.example);
    },
  );

  it('is refused with field, got and wanted for every problem at once', () => {
    const message = messageOf(() =>
      checkInput(card, { service: 'Booking', mode: 'fast', files: ['../etc/passwd'], typo: 1 }, undefined),
    );
    expect(message).toContain('service: got "Booking", wanted a service name has lower-case letters');
    expect(message).toMatch(/mode: got "fast", wanted one of: observe, propose, auto$/m);
    expect(message).toContain('files.0: got "../etc/passwd", wanted the name of a migration');
    expect(message).toMatch(
      /typo: got a field that migrateDatabase does not have, wanted one of: service, mode/,
    );
    expect(message).not.toContain('did you mean');
    expect(message).toContain('nothing was started');
  });

  it('suggests the nearest field, choice and runbook', () => {
    const given = { service: 'booking', enviroment: 'production', mode: 'Propose', files: 'a.sql' };
    const message = messageOf(() => checkInput(card, given, undefined));
    expect(message).toMatch(/^ {2}enviroment: got a field .*; did you mean "environment"\?$/m);
    expect(message).toContain(
      'mode: got "Propose", wanted one of: observe, propose, auto; did you mean "propose"?',
    );
    expect(message).toContain('files: got "a.sql", wanted a list');
    expect(() => findCard(ownCatalogue, 'drilRestore')).toThrow(/ Did you mean "drillRestore"\?$/);
  });

  it('knows the rules that can be accepted, for every file or for one', () => {
    const accept = [
      'down-missing',
      '01.sql:table-rewrite',
      'ban-drop-colum',
      '01.sql:ban-drop-column',
      'a:b',
      '',
    ];
    const message = messageOf(() => checkInput(card, { service: 'booking', accept }, undefined));
    expect(message).toContain(
      'accept.2: got "ban-drop-colum", wanted a rule that there is, alone or as FILE:RULE; did you mean "ban-drop-column"?',
    );
    expect(message.match(/accept\.\d/g)).toEqual(['accept.2', 'accept.4', 'accept.5']);
  });

  it('names a missing field', () => {
    expect(messageOf(() => checkInput(card, {}, undefined))).toContain('service: got nothing, wanted');
  });

  it.each([['{'], ['[1]'], ['"text"'], ['null'], ['@/does/not/exist.json']])(
    '%s is not taken for one',
    (given) => {
      expect(messageOf(() => readInput(given))).toContain('Nothing was started');
    },
  );

  it('flags become the types of the schema', () => {
    const field = (name: string) => fieldsOf(card).find((one) => one.name === name)!;
    expect(parseFlag(field('files'), 'a.sql, b.sql')).toEqual(['a.sql', 'b.sql']);
    expect(parseFlag(field('files'), ['a.sql', 'b.sql, c.sql'])).toEqual(['a.sql', 'b.sql', 'c.sql']);
    expect(parseFlag(field('service'), 'booking')).toBe('booking');
    expect(flagOf('startedBy')).toBe('--started-by');
    const number = { name: 'n', type: 'number', kind: 'number' as const, required: false, description: '' };
    expect(parseFlag(number, '3')).toBe(3);
    expect(messageOf(() => parseFlag(number, 'three'))).toContain('--n: wanted number, got "three"');
    expect(messageOf(() => parseFlag({ ...number, kind: 'boolean' }, 'maybe'))).toContain('got "maybe"');
    expect(parseFlag({ ...number, kind: 'boolean' }, true)).toBe(true);
  });
});

describe('small things of the command', () => {
  it('each outcome has its exit code', () => {
    const codes = (['SUCCEEDED', 'NOTHING_TO_DO', 'OBSERVED', undefined] as const).map(exitCodeOf);
    expect(codes).toEqual([0, 0, 0, 0]);
    expect(['FAILED', 'PARTIAL', 'ROLLED_BACK', 'REJECTED', 'CANCELLED'].map(exitCodeOf)).toEqual([
      1, 1, 1, 1, 1,
    ]);
    expect(exitCodeOf('NEEDS_HUMAN')).toBe(3);
  });

  it('workflow IDs say what, for whom and when, and differ', () => {
    const now = new Date('2026-11-21T03:12:04.567Z');
    expect(newWorkflowId('drillRestore', 'booking', now)).toMatch(
      /^drillRestore\/booking\/20261121-031204-[0-9a-f]{4}$/,
    );
  });

  it('the start address carries what the UI reads, encoded', () => {
    const address = startAddress('http://ui', 'my space', {
      workflowType: 't',
      taskQueue: 'q',
      workflowId: 'a/b&c',
    });
    expect(address).toBe(
      'http://ui/namespaces/my%20space/workflows/start-workflow?workflowType=t&taskQueue=q&workflowId=a%2Fb%26c',
    );
  });

  it('a list that is too long says so, and one that just fits does not', async () => {
    const [three, four] = [
      [1, 2, 3],
      [1, 2, 3, 4],
    ].map((all) => firstOf(Readable.from(all), 3));
    expect(await three).toEqual({ first: [1, 2, 3], more: false });
    expect(await four).toEqual({ first: [1, 2, 3], more: true });
  });

  it('quotes for the shell only what needs it', () => {
    expect(quote('drillRestore/booking/20261121-031204-ab12')).toBe(
      'drillRestore/booking/20261121-031204-ab12',
    );
    expect(quote("it's; rm -rf")).toBe(`'it'\\''s; rm -rf'`);
  });

  it('tables without room for their columns become paragraphs that fit', () => {
    const rows = [
      ['a'.repeat(50), '2026-11-22 02:02:46', 'running', 'what it does now, and why it takes so long'],
    ];
    const text = formatTable(['run', 'started', 'state', 'summary'], rows, 80);
    expect(text.split('\n')).toEqual([
      'a'.repeat(50),
      '  STARTED  2026-11-22 02:02:46',
      '  STATE    running',
      '  SUMMARY  what it does now, and why it takes so long',
    ]);
    const narrow = formatTable(['run', 'started', 'state', 'summary'], rows, 40).split('\n');
    expect(narrow.slice(1).every((line) => line.length <= 40)).toBe(true);
  });

  it('one long cell breaks over lines and leaves the rest a table', () => {
    const rows = [
      ['1', 'rehearse up, and down as far as there are down scripts', 'a clone', '19'],
      ['2', 'apply 001.sql', 'booking/production', 'SHA-256 39d8a1d25fda'],
    ];
    const lines = formatTable(['#', 'action', 'target', 'detail'], rows, 80).split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines).toEqual([
      expect.stringMatching(/^# {2}ACTION +TARGET +DETAIL$/),
      expect.stringMatching(/^1 {2}rehearse up, .* a clone +19$/),
      expect.stringMatching(/^ {3}.*down scripts$/),
      expect.stringMatching(/^2 {2}apply 001\.sql +booking\/production {2}SHA-256 39d8a1d25fda$/),
    ]);
  });

  it('a word that the last column has no room for makes paragraphs of the rows', () => {
    const rows = [['1', 'a task for a person: decide about units', 'travel/production', 'b'.repeat(36)]];
    const lines = formatTable(['#', 'action', 'target', 'detail'], rows, 80).split('\n');
    expect(lines).toContain(`  DETAIL  ${'b'.repeat(36)}`);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it('what has no room beside its label goes on below, and its detail in lines of its own', () => {
    expect(hang('12:00 act      ', ['Suspend', 'two listings'], 40)).toBe(
      '12:00 act      Suspend  two listings',
    );
    expect(
      hang('12:00 act      ', ['Suspend the listings', 'two listings are gone'], 40).split('\n'),
    ).toEqual(['12:00 act      Suspend the listings', '               two listings are gone']);
  });

  it('a command that is too wide is broken, but not between an option and its value', () => {
    const command = `runbooks reject ${'r'.repeat(40)} --plan 455ce6b43929 --note 'why --not'`;
    expect(pasteLines(command, '  ', 120)).toEqual([`  ${command}`]);
    expect(pasteLines(command, '  ', 80)).toEqual([
      `  runbooks reject ${'r'.repeat(40)} --plan 455ce6b43929 \\`,
      `    --note 'why --not'`,
    ]);
    expect(pasteLines(command, '  ', 56)).toEqual([
      '  runbooks reject \\',
      `    ${'r'.repeat(40)} \\`,
      `    --plan 455ce6b43929 --note 'why --not'`,
    ]);
  });

  it('tables align and wrap their last column', () => {
    const table = formatTable(['a', 'b'], [['long name', 'one two three four five six seven']], 40);
    expect(table.split('\n')).toEqual([
      'A          B',
      'long name  one two three four five six',
      '           seven',
    ]);
  });
});
