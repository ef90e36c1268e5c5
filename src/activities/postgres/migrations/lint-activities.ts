import { createRequire } from 'node:module';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { runCommand } from '../../support/subprocess';
import { isCommandMigration } from './command-migration';
import { endAtBreakpoints, parseScript } from './parse';
import { openMigrations, type ScriptFile } from './script-files';
import type { Hazard, MigrationRef } from '../../../contract/migration';

/** What Squawk asks for and we do ourselves: timeouts, transactions, no second run over half a file. */
const OURS = [
  'require-lock-timeout',
  'require-statement-timeout',
  'prefer-robust-stmts',
  'transaction-nesting',
];

/** Findings that stop a site or break its clients; the rest is advice. Our own rules cover rewrites and lost data. */
const SEVERE = new Set([
  'adding-field-with-default',
  'adding-foreign-key-constraint',
  'adding-not-nullable-field',
  'adding-required-field',
  'adding-serial-primary-key-field',
  'ban-concurrent-index-creation-in-transaction',
  'ban-create-domain-with-constraint',
  'ban-alter-domain-with-add-constraint',
  'ban-truncate-cascade',
  'constraint-missing-not-valid',
  'disallowed-unique-constraint',
  'renaming-column',
  'renaming-table',
  'require-concurrent-index-creation',
  'require-concurrent-index-deletion',
  'require-concurrent-partition-detach',
  'require-concurrent-reindex',
  'syntax-error',
]);

interface LintFinding {
  line: number;
  message: string;
  help: string | null;
  rule_name: string;
}

/** Linting reads files only, so a retry is safe. */
export function createLintActivities(deps: ActivityDeps) {
  return {
    /** Runs Squawk over migrations, without the rules in `lintIgnore`. Throws MigrationChanged, CommandFailed. */
    async lintMigrations({ service, files }: { service: string; files: MigrationRef[] }): Promise<Hazard[]> {
      const found: Hazard[] = [];
      const scripts = files.filter((migration) => !isCommandMigration(deps, service, migration));
      if (scripts.length === 0) return found;
      const folder = openMigrations(deps, service);
      for (const migration of scripts) {
        const script = folder.up(migration.name);
        if (script.sha256 !== migration.sha256) {
          throw fail(
            'MigrationChanged',
            `${migration.name} changed since it was read. Start again with what is there now.`,
          );
        }
        found.push(...(await lint(deps, service, script)));
      }
      return found;
    },
  };
}

async function lint(deps: ActivityDeps, service: string, script: ScriptFile): Promise<Hazard[]> {
  const { transactional } = await parseScript(script.name, script.content);
  const excluded = [...OURS, ...serviceOf(deps.config, service).migrations.lintIgnore];
  const { stdout, stderr, exitCode } = await runCommand({
    program: squawkPath(),
    args: [
      ...['--reporter', 'json', '--stdin-filepath', script.name],
      ...excluded.map((rule) => `--exclude=${rule}`),
      transactional ? '--assume-in-transaction' : '--no-assume-in-transaction',
    ],
    input: await endAtBreakpoints(script.content.toString('utf8')),
    timeoutMs: 60_000,
  });
  const unknown = /invalid rule name (\S+)/.exec(stderr)?.[1];
  if (unknown !== undefined) {
    throw fail(
      'InvalidInput',
      `\`lintIgnore\` of ${service} names "${unknown}", and Squawk has no such rule. Correct the configuration.`,
    );
  }
  return parseFindings(script.name, stdout, `status ${exitCode}: ${stderr.slice(-500)}`).map((finding) =>
    toHazard(script.name, finding),
  );
}

function parseFindings(name: string, stdout: string, why: string): LintFinding[] {
  try {
    const findings: unknown = JSON.parse(stdout);
    if (Array.isArray(findings)) return findings as LintFinding[];
  } catch {
    // Anything but a list is a linter that did not do its work, and never a clean file.
  }
  throw fail(
    'CommandFailed',
    `Squawk could not lint ${name} (${why}). Install the packages again with optional dependencies.`,
  );
}

/** Squawk counts lines from 0. */
function toHazard(migration: string, { line, message, help, rule_name }: LintFinding): Hazard {
  return {
    migration,
    line: line + 1,
    level: SEVERE.has(rule_name) ? 'error' : 'warning',
    rule: rule_name,
    message: [message, help].filter((text) => text !== null && text !== '').join(' '),
  };
}

/** The program inside the package for this platform; nothing global. */
function squawkPath(): string {
  const { getBinaryPath } = createRequire(__filename)('squawk-cli/js/index.js') as {
    getBinaryPath(): string;
  };
  try {
    return getBinaryPath();
  } catch (error) {
    throw fail('CommandFailed', `The linter is missing: ${(error as Error).message}`);
  }
}
