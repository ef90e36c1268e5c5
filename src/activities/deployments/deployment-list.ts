import { z } from 'zod';
import { problemsOf, problemText, shown } from '../../config/problem-text';
import { scrub } from '../../config/secrets';
import { fail } from '../support/failure';

/** A version of the application that was deployed. Times are ISO 8601. */
export interface Deployment {
  id: string;
  createdAt: string;
  state: 'ready' | 'failed' | 'building';
  /** It is in front: customers get it. */
  current: boolean;
  version?: string;
  commit?: string;
  /** When an older one was put in front of it again; absent where that never happened, or nobody keeps it. */
  rolledBackAt?: string;
  /** Scheme and host where it answers, also while it is not in front. */
  url?: string;
}

const time = z.string().refine((text) => !Number.isNaN(Date.parse(text)), 'expected an ISO time');
const label = z.string().min(1).max(200);
const deploymentSchema = z.object({
  // It becomes part of an environment variable, of titles and of messages.
  id: label.regex(/^[\x21-\x7e]+$/, 'expected printable ASCII without spaces'),
  createdAt: time,
  state: z.enum(['ready', 'failed', 'building']),
  current: z.boolean(),
  version: label.nullish(),
  commit: label.nullish(),
  rolledBackAt: time.nullish(),
  url: z.string().max(500).refine(isAddress, 'expected an http(s) address without credentials').nullish(),
});

const listSchema = z.array(deploymentSchema);

/** It becomes part of a history, so it must be no secret. */
function isAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

/** Parses what a list command printed; `source` names it and `setting` in errors. Throws CommandFailed. */
export function parseDeployments(output: string, source: string, setting = 'deployments.list'): Deployment[] {
  const malformed = (problem: string) =>
    fail(
      'CommandFailed',
      `${source} did not print a list of deployments: ${problem}. Correct ${setting} in the configuration.`,
    );
  let json: unknown;
  try {
    json = JSON.parse(output);
  } catch {
    throw malformed(`no JSON, got ${output.trim() === '' ? 'nothing' : shown(output.trim())}`);
  }
  const parsed = listSchema.safeParse(json);
  if (!parsed.success) {
    const problems = problemsOf(parsed.error.issues.slice(0, 5), { value: json, schema: listSchema });
    throw malformed(problems.map((one) => problemText(one, 'top')).join('; '));
  }
  const found = parsed.data.map(tidy);
  const current = found.filter((one) => one.current).map(({ id }) => id);
  if (current.length > 1) throw malformed(`only one can be current, got ${current.join(', ')}`);
  const twice = found.find(({ id }, index) => found.findIndex((one) => one.id === id) !== index);
  if (twice !== undefined) throw malformed(`the ID ${twice.id} is there twice`);
  return found;
}

function tidy({
  version,
  commit,
  rolledBackAt,
  createdAt,
  url,
  ...rest
}: z.infer<typeof deploymentSchema>): Deployment {
  return {
    ...rest,
    createdAt: new Date(createdAt).toISOString(),
    ...(version == null ? {} : { version: scrub(version) }),
    ...(commit == null ? {} : { commit: scrub(commit) }),
    ...(url == null ? {} : { url: new URL(url).origin }),
    ...(rolledBackAt == null ? {} : { rolledBackAt: new Date(rolledBackAt).toISOString() }),
  };
}
