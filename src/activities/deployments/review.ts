import { z } from 'zod';
import { problemsOf, problemText } from '../../config/problem-text';
import { scrub } from '../../config/secrets';
import type { Check } from '../../contract/place';
import type { Release } from '../../contract/release';
import { readConfiguredCommand } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { withProgress } from '../support/heartbeat';
import { createGithub } from './github';
import { releaseOf, tryAgain } from './read-deployments';

/** What is known about a commit before it is deployed. */
export interface ReviewFacts {
  ci: 'green' | 'red' | 'pending' | 'none' | 'unknown';
  ciDetail: string;
  review: 'approved' | 'missing' | 'changes-requested' | 'unknown';
  reviewDetail: string;
  /** Those of the wanted branches that have it. */
  branches: string[];
}

export interface Commits {
  /** Null where nothing tells. */
  count: number | null;
  /** The newest few. */
  titles: string[];
  /** False where the new version lacks commits that run now; null where nothing tells. */
  forward: boolean | null;
}

/** Checks that were made, and what nothing is configured for. */
export interface Readiness {
  checks: Check[];
  missing: string[];
}

const MAX_TITLES = 10;

const printedSchema = z.object({
  ci: z.enum(['green', 'red', 'pending', 'none']),
  review: z.enum(['approved', 'missing', 'changes-requested']),
  branches: z.array(z.string().max(200)).max(20),
  detail: z.string().max(500).optional(),
});

/** What has to be so before a version is deployed. Reads only. */
export function createReviewActivities(deps: ActivityDeps) {
  const { directory } = deps.config;

  async function readFacts(
    service: string,
    release: Release,
    branches: string[],
  ): Promise<ReviewFacts | null> {
    const { review } = releaseOf(deps, service);
    if (review === undefined) return null;
    if (review.github !== undefined) {
      const github = createGithub(review.github, directory);
      const progress = { phase: 'ask GitHub', done: 0, total: 0, unit: 'statements' as const };
      return withProgress(progress, () => github.readReview(release.commit, branches));
    }
    const output = await readConfiguredCommand(deps, review.command!, {
      ...variablesOf(service, release),
      RELEASE_BRANCHES: branches.join(' '),
    }).catch(tryAgain);
    const { ci, review: reviewed, branches: on, detail = '' } = parsePrinted(output, service);
    return { ci, ciDetail: scrub(detail), review: reviewed, reviewDetail: scrub(detail), branches: on };
  }

  async function checkReview(service: string, release: Release): Promise<Readiness> {
    const { branch, staging } = releaseOf(deps, service);
    const branches = [branch, ...(staging?.branch === undefined ? [] : [staging.branch])];
    const facts = await readFacts(service, release, branches);
    if (facts === null) return { checks: [], missing: ['review and CI', `being on ${branch}`] };
    const { ci, ciDetail, review, reviewDetail, branches: on } = facts;
    return {
      checks: [
        { name: 'CI', ok: ci === 'green', detail: [ci, ciDetail].filter((one) => one !== '').join(': ') },
        {
          name: 'review',
          ok: review === 'approved',
          detail: [review, reviewDetail].filter((one) => one !== '').join(': '),
        },
        ...branches.map((name) => ({
          name: `branch ${name}`,
          ok: on.includes(name),
          detail: on.includes(name) ? `${name} has it` : `${name} does not have it: merge it first`,
        })),
      ],
      missing: [],
    };
  }

  async function checkVariables(service: string, release: Release): Promise<Readiness> {
    const { variables } = releaseOf(deps, service);
    if (variables === undefined) return { checks: [], missing: ['environment variables'] };
    const output = await readConfiguredCommand(deps, variables.list, variablesOf(service, release)).catch(
      tryAgain,
    );
    const names = new Set(output.split('\n').map((line) => line.trim()));
    const lacking = variables.required.filter((name) => !names.has(name));
    const detail =
      lacking.length === 0
        ? `all ${variables.required.length} are set`
        : `not set in production: ${lacking.slice(0, 20).join(', ')}`;
    return { checks: [{ name: 'environment variables', ok: lacking.length === 0, detail }], missing: [] };
  }

  async function checkChangelog(service: string, release: Release): Promise<Readiness> {
    const { changelog } = releaseOf(deps, service);
    if (changelog === undefined) return { checks: [], missing: ['changelog'] };
    const output = await readConfiguredCommand(deps, changelog, variablesOf(service, release)).catch(
      tryAgain,
    );
    const entry = entryOf(output, release.version);
    const detail = entry === undefined ? `has no entry for ${release.version}` : `${entry} lines`;
    return { checks: [{ name: 'changelog', ok: entry !== undefined, detail }], missing: [] };
  }

  return {
    /**
     * Review, CI, branches, environment variables and changelog. What cannot be read is thrown, so that nobody takes it for
     * well: HttpFailed, CommandFailed (both tried again where that may help), InvalidInput.
     */
    async checkRelease({ service, release }: { service: string; release: Release }): Promise<Readiness> {
      const all = [
        await checkReview(service, release),
        await checkVariables(service, release),
        await checkChangelog(service, release),
      ];
      return {
        checks: all.flatMap(({ checks }) => checks),
        missing: all.flatMap(({ missing }) => missing),
      };
    },

    /** What a release brings, beside what runs. Throws HttpFailed, CommandFailed, InvalidInput. */
    async readCommits(input: { service: string; release: Release; from?: string }): Promise<Commits> {
      const { service, release, from } = input;
      const { commits, review } = releaseOf(deps, service);
      if (from === undefined || !/^[0-9a-f]{7,64}$/i.test(from)) return UNKNOWN;
      if (commits !== undefined) {
        const told = { ...variablesOf(service, release), FROM_COMMIT: from };
        const output = await readConfiguredCommand(deps, commits, told).catch(tryAgain);
        const lines = output.split('\n').filter((line) => line.trim() !== '');
        return { count: lines.length, titles: shortened(lines), forward: null };
      }
      if (review?.github === undefined) return UNKNOWN;
      const found = await createGithub(review.github, directory).readCommits(from, release.commit);
      return { ...found, titles: shortened(found.titles) };
    },
  };
}

const UNKNOWN: Commits = { count: null, titles: [], forward: null };

function variablesOf(service: string, { version, commit }: Release): Record<string, string> {
  return { RUNBOOKS_SERVICE: service, RELEASE_VERSION: version, RELEASE_COMMIT: commit };
}

function shortened(lines: string[]): string[] {
  return lines.slice(0, MAX_TITLES).map((line) => scrub(line.trim()).slice(0, 120));
}

function parsePrinted(output: string, service: string): z.infer<typeof printedSchema> {
  let json: unknown;
  try {
    json = JSON.parse(output);
  } catch {
    throw fail(
      'CommandFailed',
      `review.command of ${service} printed no JSON. Correct it in the configuration.`,
    );
  }
  const parsed = printedSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = problemsOf(parsed.error.issues.slice(0, 5), { value: json, schema: printedSchema });
  throw fail(
    'CommandFailed',
    `review.command of ${service} printed something else than wanted: ${problems.map((one) => problemText(one, 'top')).join('; ')}. Correct it in the configuration.`,
  );
}

/** How many lines the entry of a version has, undefined where it has none: a heading with nothing below it is none. */
function entryOf(changelog: string, version: string): number | undefined {
  const lines = changelog.split('\n');
  const escaped = version.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const heading = new RegExp(`^(#+)\\s.*(?<![\\w.-])v?${escaped}(?![\\w.-])`);
  const at = lines.findIndex((line) => heading.test(line));
  if (at < 0) return undefined;
  const level = heading.exec(lines[at]!)![1]!.length;
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) => /^#+\s/.test(line) && line.indexOf(' ') <= level);
  const entry = rest
    .slice(0, end < 0 ? undefined : end)
    .filter((line) => line.trim() !== '' && !line.startsWith('#'));
  return entry.length === 0 ? undefined : entry.length;
}
