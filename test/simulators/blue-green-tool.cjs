// The deployment tool of the application in blue-green-app.cjs: `blue-green-tool.cjs <state file> <verb>`. Every deployment is
// a process of its own on a port of its own; whoever is in front is what the state says, and the proxy follows it. What the
// tool was told stands in <state file>.calls; a line of <state file>.breaks, e.g. `promote 1.0.0`, makes that fail.
const { spawn } = require('node:child_process');
const { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

const [file, verb] = process.argv.slice(2);
const { DEPLOYMENT_ID: id, RELEASE_VERSION: version, RELEASE_COMMIT: commit } = process.env;
const token = Number(process.env.RUNBOOKS_FENCING_TOKEN ?? 0);

const read = () => JSON.parse(readFileSync(file, 'utf8'));
function write(state) {
  writeFileSync(`${file}.${process.pid}`, JSON.stringify(state));
  renameSync(`${file}.${process.pid}`, file);
}
function update(change) {
  const state = read();
  if (token < state.token) throw new Error(`fencing token ${token} is older than ${state.token}`);
  state.token = token;
  change(state);
  write(state);
}
const breaks = (what) =>
  existsSync(`${file}.breaks`) && readFileSync(`${file}.breaks`, 'utf8').split('\n').includes(what);
const lives = (pid) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function list() {
  const { current, deployments } = read();
  return deployments.map(({ builder, port, id: name, version: of, commit: made, createdAt, ...one }) => ({
    ...{ id: name, version: of, commit: made, createdAt },
    // What nobody builds any more is not being built.
    state: one.state === 'building' && !lives(builder) ? 'failed' : one.state,
    current: name === current,
    ...(one.state === 'ready' && port !== undefined ? { url: `http://127.0.0.1:${port}` } : {}),
  }));
}

async function deploy(front) {
  const made = `${version}-${read().deployments.length + 1}`;
  const createdAt = new Date().toISOString();
  update(({ deployments }) =>
    deployments.unshift({ id: made, version, commit, createdAt, state: 'building', builder: process.pid }),
  );
  while (existsSync(`${file}.slow`)) await sleep(20);
  const portFile = `${file}.${made}.port`;
  const child = spawn(process.execPath, [join(__dirname, 'blue-green-app.cjs'), file, version, portFile], {
    detached: true,
    stdio: 'ignore',
  });
  child.unref();
  while (!existsSync(portFile)) await sleep(10);
  update((state) => {
    const one = state.deployments.find((each) => each.id === made);
    Object.assign(one, { state: 'ready', pid: child.pid, port: Number(readFileSync(portFile, 'utf8')) });
    if (front) state.current = made;
  });
  return `${version} answers as ${made}`;
}

function promote() {
  const one = read().deployments.find((each) => each.id === id);
  if (one?.state !== 'ready') throw new Error(`${id} is not ready`);
  if (breaks(`promote ${one.version}`)) throw new Error('the load balancer does not answer');
  if (breaks(`half ${one.version}`)) {
    update((state) => (state.current = null));
    throw new Error('the load balancer let the old one go and did not take the new one');
  }
  update((state) => (state.current = id));
  return `${id} is in front`;
}

function retire() {
  const one = read().deployments.find((each) => each.id === id);
  update((state) => (state.deployments = state.deployments.filter((each) => each.id !== id)));
  if (one?.pid !== undefined) process.kill(one.pid, 'SIGKILL');
  return `${id} is gone`;
}

async function main() {
  if (verb === 'list') return JSON.stringify(list());
  appendFileSync(`${file}.calls`, `${verb} ${verb.startsWith('deploy') ? version : id}\n`);
  if (verb === 'deploy') return deploy(false);
  if (verb === 'deploy-front') return deploy(true);
  if (verb === 'promote') return promote();
  return retire();
}

main().then(console.log, (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
