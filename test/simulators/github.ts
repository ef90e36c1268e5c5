import { serve, type LocalServer } from '../support/local-server';

interface Review {
  user: { login: string };
  state: 'APPROVED' | 'CHANGES_REQUESTED' | 'COMMENTED' | 'DISMISSED';
  commit_id: string;
  /** Default: MEMBER. */
  author_association?: string;
}

/** One repository with one line of commits, oldest first; what the REST API says about it. */
export interface Repository {
  commits: string[];
  /** Name of a branch, and its newest commit. */
  branches: Record<string, string>;
  statuses: { context: string; state: string }[];
  checks: { name: string; status: string; conclusion: string | null }[];
  pulls: { number: number; head: { sha: string }; merge_commit_sha: string }[];
  reviews: Review[];
}

export interface GithubSimulator extends LocalServer {
  repository: Repository;
  /** How it answers everything. */
  mood: 'well' | 'down' | 'busy' | 'limited' | 'html';
  requests: string[];
  /** Reviewed by bob, green, on both branches. */
  reset: () => void;
}

export const GITHUB_TOKEN = 'ghp_0123456789secretOfTheTests';
export const [OLD, NEW, LATER] = ['a', 'b', 'c'].map((digit) => digit.repeat(40)) as [string, string, string];

const WELL = (): Repository => ({
  commits: [OLD, NEW, LATER],
  branches: { main: NEW, develop: LATER },
  statuses: [{ context: 'ci/build', state: 'success' }],
  checks: [
    { name: 'test', status: 'completed', conclusion: 'success' },
    { name: 'optional', status: 'completed', conclusion: 'skipped' },
  ],
  pulls: [{ number: 7, head: { sha: NEW }, merge_commit_sha: NEW }],
  reviews: [{ user: { login: 'bob' }, state: 'APPROVED', commit_id: NEW }],
});

/** The parts of GitHub's REST API that are asked about a commit, for the repository shop/app. */
export async function startGithub(): Promise<GithubSimulator> {
  const simulator = {
    repository: WELL(),
    mood: 'well',
    requests: [] as string[],
  } as unknown as GithubSimulator;
  const server = await serve((request, response) => {
    const url = new URL(request.url!, 'http://x');
    simulator.requests.push(url.pathname);
    const say = (status: number, json: unknown, headers: Record<string, string> = {}) => {
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
      response.end(JSON.stringify(json));
    };
    if (request.headers.authorization !== `Bearer ${GITHUB_TOKEN}`) return say(404, { message: 'Not Found' });
    if (simulator.mood === 'down') return say(503, { message: 'Service unavailable' });
    if (simulator.mood === 'busy') return say(429, { message: 'Too many' }, { 'retry-after': '1' });
    if (simulator.mood === 'limited')
      return say(403, { message: 'API rate limit exceeded' }, { 'x-ratelimit-remaining': '0' });
    if (simulator.mood === 'html') {
      response.writeHead(200, { 'content-type': 'text/html' });
      return response.end('<html>Unicorn!</html>');
    }
    const answer = answerOf(simulator.repository, url);
    return answer === undefined ? say(404, { message: 'Not Found' }) : say(200, answer);
  });
  return Object.assign(simulator, server, {
    reset: () => Object.assign(simulator, { repository: WELL(), mood: 'well', requests: [] }),
  });
}

function answerOf(repository: Repository, { pathname, searchParams }: URL): unknown {
  const path = /^\/repos\/shop\/app\/(.*)$/.exec(pathname)?.[1];
  if (path === undefined) return undefined;
  const { commits, branches, statuses, checks, pulls, reviews } = repository;
  const resolve = (ref: string) => branches[ref] ?? commits.find((sha) => sha.startsWith(ref));
  const page = <T>(all: T[]): T[] => {
    const size = Number(searchParams.get('per_page') ?? 30);
    return all.slice((Number(searchParams.get('page') ?? 1) - 1) * size).slice(0, size);
  };
  const range = /^compare\/(.+)\.\.\.(.+)$/.exec(path);
  if (range !== null) {
    const [base, head] = [range[1]!, range[2]!].map((ref) => resolve(decodeURIComponent(ref)));
    if (base === undefined || head === undefined) return undefined;
    const [from, to] = [commits.indexOf(base), commits.indexOf(head)];
    const added = commits.slice(from + 1, to + 1);
    return {
      status: from === to ? 'identical' : from < to ? 'ahead' : 'behind',
      total_commits: added.length,
      commits: page(added).map((sha) => ({ sha, commit: { message: `Change ${sha[0]}\n\nwhy` } })),
    };
  }
  if (path === 'pulls/7/reviews')
    return page(reviews).map((one) => ({ author_association: 'MEMBER', ...one }));
  const [, ref = '', what] = /^commits\/([^/]+)(?:\/(.+))?$/.exec(path) ?? [];
  const sha = resolve(ref);
  if (sha === undefined) return undefined;
  if (what === undefined) return { sha };
  if (what === 'status')
    return { state: combined(statuses), total_count: statuses.length, statuses: page(statuses) };
  if (what === 'check-runs') return { total_count: checks.length, check_runs: page(checks) };
  return what === 'pulls' ? page(pulls) : undefined;
}

/** https://docs.github.com/rest/commits/statuses: pending also where there is none. */
function combined(statuses: Repository['statuses']): string {
  if (statuses.some(({ state }) => state === 'failure' || state === 'error')) return 'failure';
  if (statuses.length === 0 || statuses.some(({ state }) => state === 'pending')) return 'pending';
  return 'success';
}
