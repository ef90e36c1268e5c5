import { z } from 'zod';
import type { GithubConfig } from '../../config/release-schema';
import { resolveSecrets, scrub } from '../../config/secrets';
import { fail } from '../support/failure';
import { ask, isOk, jsonOf, requireOk } from '../support/http';
import type { ReviewFacts } from './review';

/** Pages of a hundred that are read: a list that is longer is not known to the end. */
const MAX_PAGES = 5;
const PAGE = 100;

const state = z.string();
const commitSchema = z.object({ sha: z.string().regex(/^[0-9a-f]{40,64}$/) });
const statusSchema = z.object({
  state: z.enum(['success', 'pending', 'failure', 'error']),
  total_count: z.number(),
  statuses: z.array(z.object({ context: z.string(), state })),
});
const checksSchema = z.object({
  total_count: z.number(),
  check_runs: z.array(z.object({ name: z.string(), status: state, conclusion: z.string().nullable() })),
});
const pullsSchema = z.array(
  z.object({
    number: z.number(),
    head: z.object({ sha: z.string() }),
    merge_commit_sha: z.string().nullish(),
  }),
);
const reviewsSchema = z.array(
  z.object({
    user: z.object({ login: z.string() }).nullable(),
    state,
    author_association: z.string(),
    commit_id: z.string().nullish(),
  }),
);
const compareSchema = z.object({
  status: z.enum(['ahead', 'behind', 'identical', 'diverged']),
  total_commits: z.number(),
  commits: z.array(z.object({ sha: z.string(), commit: z.object({ message: z.string() }) })),
});

/** Anybody may review in a public repository. Others count for nothing, as they do on GitHub. */
const INSIDERS = ['OWNER', 'MEMBER', 'COLLABORATOR'];

export type Github = ReturnType<typeof createGithub>;

/** What a repository says about a commit. Reads only. Everything throws HttpFailed, tried again where that may help. */
export function createGithub(config: GithubConfig, directory: string) {
  const base = resolveSecrets(config.url, directory).replace(/\/+$/, '');
  const token = config.token === undefined ? undefined : resolveSecrets(config.token, directory);

  async function read<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    const answer = await ask({
      url: `${base}/repos/${config.repository}/${path}`,
      headers: {
        accept: 'application/vnd.github+json',
        'user-agent': 'durable-runbooks',
        'x-github-api-version': '2022-11-28',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      timeoutMs: config.timeoutMs,
      maxBytes: 4_000_000,
    });
    const limited = answer.retryAfterMs !== undefined || /rate limit/i.test(answer.text);
    // GitHub says so with a 403, too.
    if (answer.status === 403 && limited)
      throw fail('HttpFailed', `${answer.host} wants fewer requests (403); ask it less often.`, {
        retryable: true,
        nextTryMs: answer.retryAfterMs,
      });
    if (answer.status === 404 || answer.status === 422)
      throw fail(
        'HttpFailed',
        `${answer.host} does not show ${path.split('?')[0]} of ${config.repository} (${answer.status}): it does not exist, or the token may not see it.`,
      );
    requireOk(answer);
    const parsed = schema.safeParse(jsonOf(answer));
    if (isOk(answer) && parsed.success) return parsed.data;
    throw fail(
      'HttpFailed',
      `${answer.host} answered something else than GitHub does at ${path.split('?')[0]}; correct review.github.url.`,
    );
  }

  async function readChecks(sha: string): Promise<Pick<ReviewFacts, 'ci' | 'ciDetail'>> {
    const status = await read(`commits/${sha}/status?per_page=${PAGE}`, statusSchema);
    const runs: z.infer<typeof checksSchema>['check_runs'] = [];
    for (let page = 1; page <= MAX_PAGES; page += 1) {
      const found = await read(`commits/${sha}/check-runs?per_page=${PAGE}&page=${page}`, checksSchema);
      runs.push(...found.check_runs);
      if (runs.length >= found.total_count || found.check_runs.length === 0) break;
      if (page === MAX_PAGES) return { ci: 'unknown', ciDetail: `more than ${MAX_PAGES * PAGE} checks` };
    }
    const results = [
      ...status.statuses.map((one) => ({ name: one.context, result: one.state })),
      ...runs.map(({ name, status: at, conclusion }) => ({
        name,
        result: at === 'completed' ? (conclusion ?? 'unknown') : 'pending',
      })),
    ];
    const count = status.total_count + runs.length;
    if (count === 0) return { ci: 'none', ciDetail: 'no check ran for it' };
    const bad = results.filter(
      ({ result }) => !['success', 'neutral', 'skipped', 'pending'].includes(result),
    );
    const named = (some: typeof results): string =>
      scrub(
        some
          .slice(0, 5)
          .map(({ name, result }) => `${name} ${result}`)
          .join(', '),
      );
    if (bad.length > 0) return { ci: 'red', ciDetail: named(bad) };
    // The combined state counts those beyond the page as well.
    if (status.total_count > 0 && ['failure', 'error'].includes(status.state))
      return { ci: 'red', ciDetail: `the combined state is ${status.state}` };
    const open = results.filter(({ result }) => result === 'pending');
    if (open.length > 0 || (status.total_count > 0 && status.state === 'pending'))
      return { ci: 'pending', ciDetail: named(open) || 'the combined state is pending' };
    if (results.every(({ result }) => result !== 'success'))
      return { ci: 'none', ciDetail: 'every check was skipped' };
    return { ci: 'green', ciDetail: `${count} checks` };
  }

  /** The last word of each person; an approval of what the pull request was before is none of this. */
  async function readReview(sha: string): Promise<Pick<ReviewFacts, 'review' | 'reviewDetail'>> {
    const pulls = await read(`commits/${sha}/pulls?per_page=${PAGE}`, pullsSchema);
    if (pulls.length === 0) return { review: 'missing', reviewDetail: 'no pull request has this commit' };
    const brought = pulls.find((one) => one.head.sha === sha || one.merge_commit_sha === sha);
    if (brought === undefined && pulls.length > 1)
      return {
        review: 'unknown',
        reviewDetail: `it is in the middle of ${pulls.length} pull requests, e.g. #${pulls[0]!.number}: deploy the head of one`,
      };
    const { number, head } = brought ?? pulls[0]!;
    const words = new Map<string, string>();
    for (let page = 1; ; page += 1) {
      const found = await read(`pulls/${number}/reviews?per_page=${PAGE}&page=${page}`, reviewsSchema);
      for (const { user, state: word, commit_id: of, author_association: whose } of found) {
        if (user === null || !INSIDERS.includes(whose)) continue;
        if (!['APPROVED', 'CHANGES_REQUESTED', 'DISMISSED'].includes(word)) continue;
        words.set(user.login, word === 'APPROVED' && of !== head.sha ? 'STALE' : word);
      }
      if (found.length < PAGE) break;
      if (page === MAX_PAGES)
        return { review: 'unknown', reviewDetail: `#${number} has more than ${MAX_PAGES * PAGE} reviews` };
    }
    const who = (word: string) => [...words].filter(([, one]) => one === word).map(([login]) => login);
    const against = who('CHANGES_REQUESTED');
    if (against.length > 0)
      return {
        review: 'changes-requested',
        reviewDetail: scrub(`#${number}: ${against.slice(0, 5).join(', ')} want changes`),
      };
    const approved = who('APPROVED');
    const stale = who('STALE').length === 0 ? '' : ', not counting approvals of what it was before';
    const reviewDetail = `#${number} is approved by ${approved.slice(0, 5).join(', ') || 'nobody'}${stale}, wanted: ${config.approvals}`;
    return {
      review: approved.length >= config.approvals ? 'approved' : 'missing',
      reviewDetail: scrub(reviewDetail),
    };
  }

  const compare = (from: string, to: string) =>
    read(`compare/${encodeURIComponent(from)}...${encodeURIComponent(to)}?per_page=${PAGE}`, compareSchema);

  return {
    readReview: async (commit: string, branches: string[]): Promise<ReviewFacts> => {
      const { sha } = await read(`commits/${commit}`, commitSchema);
      const on: string[] = [];
      for (const branch of branches) {
        const { status } = await compare(branch, sha);
        if (status === 'behind' || status === 'identical') on.push(branch);
      }
      return { ...(await readChecks(sha)), ...(await readReview(sha)), branches: on };
    },

    /** The commits that `to` has and `from` has not, newest first; `forward` is false where `to` lacks some of `from`. */
    readCommits: async (from: string, to: string) => {
      const { status, total_commits: count, commits } = await compare(from, to);
      const titles = commits
        .map(({ sha, commit }) => `${sha.slice(0, 7)} ${commit.message.split('\n')[0]!.slice(0, 100)}`)
        .reverse();
      // The oldest come first, so of more than a page the newest are not among them.
      const complete = commits.length >= count;
      return { count, titles: complete ? titles : [], forward: status === 'ahead' || status === 'identical' };
    },
  };
}
