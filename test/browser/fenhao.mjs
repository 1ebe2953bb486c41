// fenhao.mjs starts the real program and a real browser for a test.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = path.dirname(fileURLToPath(import.meta.url));

/** artifacts is the folder for screenshots; git ignores it. */
export const artifacts = path.join(here, 'artifacts');

/**
 * startFenhao runs `fenhao COMMAND…` (the program of $FENHAO_BIN, else the one of this repository) and waits for the one
 * line that says it is ready. Resolves to that line's object, with stop() added.
 */
export async function startFenhao(...args) {
  const data = await mkdtemp(path.join(tmpdir(), 'fenhao-browser-'));
  const [program, before] = process.env.FENHAO_BIN ? [process.env.FENHAO_BIN, []] : ['go', ['run', '../../cmd/fenhao']];
  // go run does not pass signals on, so the whole group is ended.
  const child = spawn(program, [...before, ...args.map((a) => (a === '{data}' ? data : a))], {
    cwd: here, detached: true, stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = [];
  createInterface({ input: child.stderr }).on('line', (line) => log.push(line));
  const gone = new Promise((resolve) => { child.once('close', resolve); child.once('error', resolve); });
  const stop = async () => {
    try { process.kill(-child.pid, 'SIGTERM'); } catch { /* gone already */ }
    await gone;
    await rm(data, { recursive: true, force: true });
  };
  const line = await Promise.race([
    new Promise((resolve) => { createInterface({ input: child.stdout }).once('line', resolve); }),
    gone.then((why) => { throw new Error(`fenhao ${args.join(' ')} ended before it was ready (${why}):\n${log.join('\n')}`); }),
  ]);
  return { ...JSON.parse(line), log, stop };
}

/** openBrowser starts Chromium with a fresh profile. */
export async function openBrowser() {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) {
    throw new Error(`Chromium is missing: there is no ${executablePath}. Install it (apt-get install chromium fonts-noto-cjk) or name it in CHROMIUM.`);
  }
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
}

/** ask calls the control API (or anything else) from the test itself. */
export async function ask(url, method = 'GET', body = undefined) {
  const res = await fetch(url, { method, headers: body ? { 'Content-Type': 'application/json' } : {}, body: body ? JSON.stringify(body) : undefined });
  const text = await res.text();
  if (!res.ok) throw new Error(`${method} ${url}: ${res.status} ${text}`);
  return text ? JSON.parse(text) : null;
}
