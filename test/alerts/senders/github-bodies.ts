const githubRepository = {
  id: 186853002,
  name: 'booking',
  full_name: 'acme/booking',
  private: true,
  html_url: 'https://github.com/acme/booking',
  owner: { login: 'acme', id: 21031067, type: 'Organization' },
};

export const githubWorkflowRun = {
  action: 'completed',
  workflow: { id: 3, name: 'Deploy', path: '.github/workflows/deploy.yml' },
  workflow_run: {
    id: 30433642,
    name: 'Deploy',
    display_title: 'Raise the size of the pool',
    run_number: 562,
    run_attempt: 1,
    event: 'push',
    status: 'completed',
    conclusion: 'failure',
    workflow_id: 159038,
    head_branch: 'main',
    head_sha: 'acb5820ced9479c074f688cc328bf03f341a511d',
    html_url: 'https://github.com/acme/booking/actions/runs/30433642',
    run_started_at: '2026-11-21T03:00:00Z',
    updated_at: '2026-11-21T03:04:06Z',
  },
  repository: githubRepository,
  sender: { login: 'octocat', id: 1, type: 'User' },
};

export const githubCheckSuite = {
  action: 'completed',
  check_suite: {
    id: 118578147,
    head_branch: 'main',
    head_sha: 'acb5820ced9479c074f688cc328bf03f341a511d',
    status: 'completed',
    conclusion: 'timed_out',
    app: { id: 29310, slug: 'octoapp', name: 'Octo App' },
  },
  repository: githubRepository,
};

export const githubDeploymentStatus = {
  action: 'created',
  deployment_status: {
    id: 7,
    state: 'failure',
    environment: 'production',
    description: 'The health check failed',
    target_url: '',
    log_url: 'https://github.com/acme/booking/actions/runs/30433642/job/7',
    created_at: '2026-11-21T03:04:06Z',
  },
  deployment: { id: 145988746, ref: 'main', sha: 'acb5820ced', task: 'deploy', environment: 'production' },
  repository: githubRepository,
};

export const githubDependabotAlert = {
  action: 'created',
  alert: {
    number: 12,
    state: 'open',
    severity: 'HIGH',
    html_url: 'https://github.com/acme/booking/security/dependabot/12',
  },
  repository: githubRepository,
};
