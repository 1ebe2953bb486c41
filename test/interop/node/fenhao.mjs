// fenhao.mjs starts what the tests need: the program's sandbox, and the witness that asks this module's SDK.

import { spawn, execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));

/** build compiles a Go command and returns its path. Without Go it says so. */
function build(dir, pkg, out) {
  try {
    execFileSync('go', ['build', '-o', out, pkg], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (err) {
    if (err.code === 'ENOENT') throw new Error('Go is missing: install it from https://go.dev/dl/, so that `go` is in PATH', { cause: err });
    throw new Error(`go build ${pkg} in ${dir}:\n${err.stderr}`, { cause: err });
  }
  return out;
}

/** a child process; stop() ends it and waits for its end. */
function start(program, args) {
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: Object.fromEntries(Object.entries(process.env).filter(([k]) => !k.startsWith('FENHAO_'))),
  });
  const log = [];
  createInterface({ input: child.stderr }).on('line', (line) => log.push(line));
  const gone = new Promise((resolve) => { child.once('close', resolve); child.once('error', resolve); });
  return { child, log, gone, stop: async () => { child.kill('SIGTERM'); await gone; } };
}

/**
 * open starts a sandbox and a witness. Resolves to { sandbox, proxy, folder, merchant, control, ask, close }: merchant is
 * what --export wrote, control calls the sandbox's control API, ask puts a question to the witness.
 */
export async function open() {
  const dir = await mkdtemp(path.join(tmpdir(), 'fenhao-interop-'));
  const closers = [() => rm(dir, { recursive: true, force: true })];
  const close = async () => { while (closers.length) await closers.pop()(); };
  try {
    const program = process.env.FENHAO_BIN ?? build(path.join(here, '../../..'), './cmd/fenhao', path.join(dir, 'fenhao'));
    const folder = path.join(dir, 'keys');
    const any = '127.0.0.1:0';
    const server = start(program, ['sandbox', '--json', '--listen', any, '--proxy', any, '--export', folder]);
    closers.push(server.stop);
    const line = await Promise.race([
      new Promise((resolve) => { createInterface({ input: server.child.stdout }).once('line', resolve); }),
      server.gone.then((why) => { throw new Error(`fenhao sandbox ended before it was ready (${why}):\n${server.log.join('\n')}`); }),
    ]);
    const ready = JSON.parse(line);
    const merchant = JSON.parse(await readFile(path.join(folder, ready.merchant_id, 'merchant.json'), 'utf8'));

    const witness = start(build(path.join(here, '..'), './witness', path.join(dir, 'witness')), []);
    closers.push(async () => { witness.child.stdin.end(); await witness.gone; });
    const waiting = [];
    createInterface({ input: witness.child.stdout }).on('line', (text) => {
      const { resolve, reject } = waiting.shift();
      const { result, error } = JSON.parse(text);
      if (error === undefined) resolve(result); else reject(new Error(error));
    });
    witness.gone.then((why) => { for (const w of waiting) w.reject(new Error(`the witness ended (${why}):\n${witness.log.join('\n')}`)); });
    const ask = (what, question) => new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      witness.child.stdin.write(`${JSON.stringify({ do: what, ...question })}\n`);
    });

    const control = async (method, name, body) => {
      const res = await fetch(`${ready.sandbox}/sandbox/v1/${name}`, { method, body: body && JSON.stringify(body) });
      const text = await res.text();
      if (!res.ok) throw new Error(`${method} ${name}: ${res.status} ${text}`);
      return text ? JSON.parse(text) : null;
    };
    return { ...ready, folder, merchant, control, ask, close };
  } catch (err) {
    await close();
    throw err;
  }
}

/** clients are the ways to the sandbox that fenhao() returns when it is there: each resolves to settings of the SDK. */
export const clients = (fenhao) => ({
  'by address': async () => ({ baseURL: fenhao().sandbox }),
  'by proxy': async () => {
    const { hostname, port } = new URL(fenhao().proxy);
    const ca = await readFile(path.join(fenhao().folder, 'ca.pem'));
    return { proxy: { protocol: 'http', host: hostname, port: Number(port) }, httpsAgent: new Agent({ ca }) };
  },
});

/** openID logs a user in at the mini program and resolves to who it is. */
export async function openID({ sandbox, merchant, control }, user) {
  const app = merchant.apps[0];
  const { code } = await control('POST', 'login', { app_id: app.id, user });
  const query = new URLSearchParams({ appid: app.id, secret: app.secret, js_code: code, grant_type: 'authorization_code' });
  const session = await (await fetch(`${sandbox}/sns/jscode2session?${query}`)).json();
  if (!session.openid) throw new Error(`login of ${user}: ${JSON.stringify(session)}`);
  return session.openid;
}

/** mailbox is a merchant's server. next() resolves to the next notification: { headers, body }. */
export async function mailbox() {
  const arrived = [];
  const waiting = [];
  const server = createServer((req, res) => {
    const parts = [];
    req.on('data', (part) => parts.push(part));
    req.on('end', () => {
      const d = { headers: req.headers, body: Buffer.concat(parts).toString() };
      if (waiting.length) waiting.shift()(d); else arrived.push(d);
      if (d.body.startsWith('<')) res.end('<xml><return_code>SUCCESS</return_code></xml>'); else res.writeHead(204).end(); // API v2, v3
    });
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    url: `http://127.0.0.1:${server.address().port}/notify`,
    next: () => (arrived.length ? Promise.resolve(arrived.shift()) : new Promise((resolve) => { waiting.push(resolve); })),
    close: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }),
  };
}
