import { resolve } from 'node:path';
import { z } from 'zod';
import type { CommandConfig } from '../../config/schema';
import { resolveSecrets, scrub } from '../../config/secrets';
import {
  VULNERABILITY_SEVERITIES,
  type Audit,
  type Outdated,
  type Vulnerability,
} from '../../contract/dependencies';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { withProgress } from '../support/heartbeat';
import { minimalEnvironment, runCommand } from '../support/subprocess';

/** What of a report goes into a history. */
const MAX_LISTED = 50;
const MAX_TITLES = 3;

const name = z.string().min(1).max(214);
const version = z.string().max(256);
const adviceSchema = z.union([z.string(), z.object({ title: z.string().optional() })]);
const vulnerabilitySchema = z.object({
  severity: z.enum(VULNERABILITY_SEVERITIES),
  isDirect: z.boolean().default(false),
  via: z.array(adviceSchema),
  fixAvailable: z.union([
    z.boolean(),
    z.object({ name, version, isSemVerMajor: z.boolean().default(false) }),
  ]),
});
const auditSchema = z.object({
  auditReportVersion: z.literal(2),
  vulnerabilities: z.record(name, vulnerabilitySchema),
});
const outdatedSchema = z.object({
  current: version.optional(),
  wanted: version,
  latest: version,
});
// An array where several workspaces have it in different versions.
const allOutdatedSchema = z.record(name, z.union([outdatedSchema, z.array(outdatedSchema).min(1)]));
const problemSchema = z.object({
  message: z.string().optional(),
  error: z.object({ code: z.string().optional(), summary: z.string() }),
});

/** What `npm audit --json` prints. Throws CommandFailed: no answer of the registry is not "no vulnerabilities". */
export async function readAudit(deps: ActivityDeps, service: string, command: CommandConfig): Promise<Audit> {
  const { vulnerabilities } = await readReport(deps, service, command, auditSchema);
  const found = Object.entries(vulnerabilities).map(([key, one]) => vulnerabilityOf(key, one));
  found.sort(
    (a, b) => rank(a) - rank(b) || Number(b.direct) - Number(a.direct) || a.name.localeCompare(b.name),
  );
  const bySeverity: Audit['bySeverity'] = {};
  for (const { severity } of found) bySeverity[severity] = (bySeverity[severity] ?? 0) + 1;
  return { total: found.length, bySeverity, worst: found.slice(0, MAX_LISTED) };
}

/** What `npm outdated --json` prints. Throws CommandFailed. */
export async function readOutdated(
  deps: ActivityDeps,
  service: string,
  command: CommandConfig,
): Promise<Outdated> {
  const report = await readReport(deps, service, command, allOutdatedSchema);
  const listed = Object.entries(report).map(([key, one]) => {
    const { current, wanted, latest } = Array.isArray(one) ? one[0]! : one;
    return { name: key, current, wanted, latest };
  });
  const packages = listed.flatMap(({ current, ...one }) =>
    current === undefined ? [] : [{ ...one, current }],
  );
  packages.sort((a, b) => Number(isInRange(b)) - Number(isInRange(a)) || a.name.localeCompare(b.name));
  return {
    total: packages.length,
    inRange: packages.filter(isInRange).length,
    absent: listed.length - packages.length,
    packages: packages.slice(0, MAX_LISTED),
  };
}

function isInRange({ current, wanted }: { current: string; wanted: string }): boolean {
  return current !== wanted;
}

function vulnerabilityOf(key: string, one: z.infer<typeof vulnerabilitySchema>): Vulnerability {
  const { severity, isDirect, via, fixAvailable } = one;
  const titles = via.flatMap((each) => (typeof each === 'string' ? [] : [each.title ?? 'no title']));
  return {
    name: key,
    severity,
    direct: isDirect,
    titles: titles.slice(0, MAX_TITLES).map((title) => scrub(title).replace(/\s+/g, ' ').slice(0, 150)),
    fix: fixOf(key, fixAvailable),
  };
}

function fixOf(
  key: string,
  fix: boolean | { name: string; version: string; isSemVerMajor: boolean },
): Vulnerability['fix'] {
  if (fix === false) return null;
  if (fix === true) return { name: key, major: false };
  return { name: fix.name, version: fix.version, major: fix.isSemVerMajor };
}

function rank({ severity }: Vulnerability): number {
  return VULNERABILITY_SEVERITIES.indexOf(severity);
}

/** Both end with status 1 where there is something to say, and where they failed: what they printed tells which. */
async function readReport<T>(
  { config }: ActivityDeps,
  service: string,
  command: CommandConfig,
  schema: z.ZodType<T>,
): Promise<T> {
  const [program = '', ...args] = command.run;
  const shown = `\`${command.run.join(' ')}\` of ${service}`;
  const more = Object.entries(command.environment).map(([key, value]): [string, string] => [
    key,
    resolveSecrets(value, config.directory),
  ]);
  const progress = { phase: command.run.join(' '), done: 0, total: 0, unit: 'statements' as const };
  const { exitCode, stdout, stderr } = await withProgress(progress, () =>
    runCommand({
      program,
      args,
      directory: resolve(config.directory, command.directory),
      environment: { ...minimalEnvironment(), ...(Object.fromEntries(more) as Record<string, string>) },
      timeoutMs: command.timeoutSeconds * 1_000,
    }),
  );
  const json = jsonOf(stdout);
  const problem = problemSchema.safeParse(json);
  if (problem.success) throw unknown(shown, problem.data);
  const parsed = schema.safeParse(json);
  if (parsed.success && exitCode <= 1) return parsed.data;
  const said = scrub((stderr || stdout).trim().split('\n').slice(-3).join(' ')).slice(0, 300);
  throw fail(
    'CommandFailed',
    `${shown} ended with status ${exitCode} and printed no report that can be read${said === '' ? '' : `: ${said}`}. Nothing is known about the packages; run it by hand to see why.`,
    { retryable: exitCode > 1 },
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unknown(shown: string, { message, error }: z.infer<typeof problemSchema>): Error {
  const why = message ?? [error.code ?? '', error.summary].filter((one) => one !== '').join(' ');
  const lock = error.code === 'ENOLOCK';
  return fail(
    'CommandFailed',
    `${shown} could not be done: ${why.slice(0, 300)}. Nothing is known about the packages${lock ? '; the folder needs a lockfile.' : ', which is not the same as none being vulnerable.'}`,
    { retryable: !lock },
  );
}
