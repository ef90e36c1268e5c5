// One deployment of an application: `blue-green-app.cjs <state file> <version> <port file>`. <state file>.bad has lines such as
// `/quote 2.0.0`: that path of that version answers 500.
const { existsSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { createServer } = require('node:http');

const [file, version, portFile] = process.argv.slice(2);
const server = createServer((request, response) => {
  const bad = existsSync(`${file}.bad`) ? readFileSync(`${file}.bad`, 'utf8').split('\n') : [];
  response.statusCode = bad.includes(`${request.url} ${version}`) ? 500 : 200;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ ok: response.statusCode === 200, version }));
});
server.listen(0, '127.0.0.1', () => {
  // Whoever waits for the file reads it at once, so it comes whole.
  writeFileSync(`${portFile}.new`, String(server.address().port));
  renameSync(`${portFile}.new`, portFile);
});
