/** How a new version of the application is brought out. */
import { z } from 'zod';
import { commandSchema, secretText } from './primitives';

const githubSchema = z
  .strictObject({
    repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'owner/name'),
    url: secretText
      .default('https://api.github.com')
      .describe('of the REST API; another one for GitHub Enterprise'),
    token: secretText
      .optional()
      .describe('may read contents, pull requests, checks and statuses; needed for a private repository'),
    approvals: z.number().int().min(1).max(10).default(1).describe('people who must have approved'),
    timeoutMs: z.number().positive().max(60_000).default(10_000).describe('of one request'),
  })
  .describe('CI, reviews and branches, asked of GitHub');

const reviewSchema = z
  .strictObject({
    github: githubSchema.optional(),
    command: commandSchema
      .optional()
      .describe(
        'prints JSON about RELEASE_COMMIT: {"ci": "green|red|pending|none", "review": "approved|missing|changes-requested", "branches": ["main"], "detail"?}; `branches` are those of RELEASE_BRANCHES that have the commit',
      ),
  })
  .refine(({ github, command }) => (github === undefined) !== (command === undefined), {
    message: 'one of github, command',
  })
  .describe('who says that a commit was reviewed, that its checks are green, and which branches have it');

const branch = z.string().regex(/^[\w./-]{1,200}$/, 'the name of a branch');
const DEPLOY =
  'gets RELEASE_VERSION, RELEASE_COMMIT and RUNBOOKS_FENCING_TOKEN. Run again for the same commit, it goes on or begins anew, and makes no second one; the list says "building" only while something builds';

const stagingSchema = z
  .strictObject({
    environment: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,30}$/)
      .default('staging'),
    list: commandSchema.describe('prints its deployments, as deployments.list does'),
    deploy: commandSchema.describe(`puts a version in front there; ${DEPLOY}`),
    branch: branch.optional().describe('that must have the commit as well, e.g. develop'),
  })
  .describe('where a version is tried first');

export const releaseSchema = z
  .strictObject({
    deploy: commandSchema.describe(
      `makes a deployment beside the one in front, without traffic, which \`promote\` puts in front; ${DEPLOY}`,
    ),
    retire: commandSchema
      .optional()
      .describe(
        'takes DEPLOYMENT_ID away, which has no traffic: a new version that failed. Default: it stays beside',
      ),
    readySeconds: z
      .number()
      .min(0)
      .max(7_200)
      .default(900)
      .describe('how long after `deploy` the list may still show it as building'),
    staging: stagingSchema.optional(),
    branch: branch.default('main').describe('that must have the commit'),
    review: reviewSchema.optional(),
    variables: z
      .strictObject({
        list: commandSchema.describe(
          'prints the names of the environment variables that production has, one on each line, and no value',
        ),
        required: z
          .array(z.string().regex(/^[A-Za-z_]\w{0,99}$/))
          .min(1)
          .max(200),
      })
      .optional()
      .describe('what the new version needs to find'),
    changelog: commandSchema
      .optional()
      .describe(
        'prints the changelog as it is in RELEASE_COMMIT, e.g. [sh, -c, "git show $RELEASE_COMMIT:CHANGELOG.md"]; it must have a heading with the version, and something below it',
      ),
    commits: commandSchema
      .optional()
      .describe(
        'prints a line for each commit after FROM_COMMIT up to RELEASE_COMMIT, newest first. Default: review.github is asked',
      ),
    windowMinutes: z
      .number()
      .positive()
      .max(1_440)
      .default(30)
      .describe('how long a deployment may take, as it is announced'),
  })
  .describe('how a new version is brought out, for deployApplication');

export type ReleaseConfig = z.infer<typeof releaseSchema>;
export type GithubConfig = z.infer<typeof githubSchema>;
