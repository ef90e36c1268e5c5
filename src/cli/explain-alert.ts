import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { createPrepareActivities } from '../activities/policy/prepare';
import { alertSchema } from '../catalogue/alert-schema';
import type { Project } from '../catalogue/catalogue';
import { readJson } from '../alerts/read-body';
import { compileRoutes, judge, planRun, type RouteVerdict } from '../alerts/routing';
import { BadAlert, type Headers } from '../alerts/sender';
import { senders } from '../alerts/senders';
import type { LoadedConfig } from '../config/load';
import type { Mode, Severity } from '../contract/modes';
import { CliError, EXIT } from './errors';
import type { Alert } from '../contract/alert';

/** What would come of an alert. */
export interface ExplainedAlert {
  alert: Alert;
  /** Up to the one that takes it; later ones are not asked. */
  routes: RouteVerdict[];
  notAsked: string[];
  /** Undefined where no route matches. */
  run?: ExplainedRun;
}

export interface ExplainedRun {
  route: string;
  runbook: string;
  workflowId: string | undefined;
  severity: Severity;
  input: Record<string, unknown>;
  /** Undefined where the input is refused. */
  mode: Mode | undefined;
  modeReason: string | undefined;
  /** When the same alert comes again. */
  again: string;
  problems: string[];
}

/** Fields that a file by hand need not have. */
const byHand = alertSchema.extend({
  startsAt: alertSchema.shape.startsAt.default(null),
  status: alertSchema.shape.status.default('firing'),
  severity: alertSchema.shape.severity.default(''),
  title: alertSchema.shape.title.default(''),
  labels: alertSchema.shape.labels.default({}),
  annotations: alertSchema.shape.annotations.default({}),
  link: alertSchema.shape.link.default(null),
});

interface Given {
  file: string;
  source?: string;
  /** `name: value` each. */
  headers: string[];
}

/** The alerts in a file, in the normal form. Throws CliError (usage). */
export function readAlerts(config: LoadedConfig, { file, source: name, headers }: Given): Alert[] {
  const body = readFile(file);
  try {
    if (name === undefined) return readNormalForm(readJson(body), file);
    const source = Object.hasOwn(config.alerts.sources, name) ? config.alerts.sources[name] : undefined;
    if (source === undefined) {
      const known = Object.keys(config.alerts.sources).join(', ') || 'none';
      throw new CliError(EXIT.usage, `There is no source "${name}" in ${config.file}. Known: ${known}.`);
    }
    const mapping = source.kind === 'generic' ? source.fields : undefined;
    const alerts = senders[source.kind].parse(readJson(body), parseHeaders(headers), {
      source: name,
      mapping,
    });
    if (alerts.length > 0) return alerts;
    throw new CliError(
      EXIT.usage,
      `${file} has no alert that ${source.kind} would send, so nothing would start. Where a header says what a body is, give it with --header.`,
    );
  } catch (error) {
    if (!(error instanceof BadAlert)) throw error;
    throw new CliError(EXIT.usage, `${file} cannot be read as an alert: ${error.message}.`);
  }
}

function readNormalForm(value: unknown, file: string): Alert[] {
  const parsed = z.array(byHand).safeParse(Array.isArray(value) ? value : [value]);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    ({ path, message }) => `  ${path.slice(1).join('.') || 'alert'}: ${message}`,
  );
  throw new CliError(
    EXIT.usage,
    `${file} is not an alert in the normal form; --source reads it as its sender writes it.\n${problems.join('\n')}`,
  );
}

function readFile(file: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    throw new CliError(EXIT.usage, `--alert: ${file} cannot be read: ${(error as Error).message}.`);
  }
}

function parseHeaders(headers: string[]): Headers {
  const pairs = headers.map((header) => {
    const [, name, value] = /^([^:\s]+):\s*(.+)$/s.exec(header) ?? [];
    if (name === undefined || value === undefined)
      throw new CliError(EXIT.usage, `--header: got "${header}", wanted "Name: value".`);
    return [name.toLowerCase(), value];
  });
  return Object.fromEntries(pairs) as Headers;
}

/** Asks every route as the intake does, and the first step of a run what it would make of the input. */
export async function explainAlert(config: Project, alert: Alert): Promise<ExplainedAlert> {
  const routes = compileRoutes(config);
  const verdicts = routes.map((route) => judge(route, alert));
  const taken = verdicts.findIndex(({ failed }) => failed === undefined);
  const asked = taken < 0 ? verdicts : verdicts.slice(0, taken + 1);
  const notAsked = verdicts.slice(asked.length).map(({ route }) => route);
  const route = routes[taken];
  if (route === undefined) return { alert, routes: asked, notAsked };
  const {
    route: name,
    runbook,
    workflowId,
    severity,
    input,
    problems,
    repeatable,
    grouped,
  } = planRun(config, route, alert);
  const policy = problems.length > 0 ? undefined : await policyOf(config, runbook, input);
  const { alert: _alert, ...shown } = input;
  const run: ExplainedRun = {
    route: name,
    runbook,
    workflowId,
    severity,
    input: shown,
    mode: policy?.mode,
    modeReason: policy?.modeReason,
    again: again(repeatable, grouped, route.config.group),
    problems,
  };
  return { alert, routes: asked, notAsked, run };
}

async function policyOf(config: Project, runbook: string, input: Record<string, unknown>) {
  const { policy } = await createPrepareActivities({ config, catalogue: config.catalogue }).prepare({
    runbook,
    input,
  });
  return policy;
}

function again(repeatable: boolean, grouped: boolean, group: string[]): string {
  if (grouped) return `alerts with the same ${group.join(', ')} belong to this run while it is open`;
  if (repeatable) return 'it has no start time: it belongs to this run while it is open';
  return 'the same fingerprint and start time is the same run, also when it has ended';
}
