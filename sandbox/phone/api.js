// api.js talks to the two servers behind this page, both on its own origin: the sandbox's control API, and the shop's
// server (the service) through /phone/service.

import { state } from './store.js';

/** Failure is an answer that was not 2xx (status set), or no answer at all (status 0: what happened is unknown). */
export class Failure extends Error {
  constructor(status, code, message, body) {
    super(message || code);
    Object.assign(this, { status, code, body: body ?? {} });
  }

  /** unclear: the request may have been carried out all the same. */
  get unclear() { return this.status === 0 || this.status >= 500; }
}

async function send(method, url, { body, headers, timeout = 15000 } = {}) {
  let res, text;
  const cut = new AbortController();
  const timer = setTimeout(() => cut.abort(), timeout);
  try {
    res = await fetch(url, {
      method,
      headers: { 'Accept-Language': state.lang, ...(body ? { 'Content-Type': 'application/json' } : {}), ...headers },
      body: body ? JSON.stringify(body) : undefined,
      credentials: 'omit',
      cache: 'no-store',
      signal: cut.signal,
    });
    text = await res.text();
  } catch (err) {
    throw new Failure(0, err.name === 'AbortError' ? 'timeout' : 'network', err.message);
  } finally {
    clearTimeout(timer);
  }
  let data = null;
  try { data = text ? JSON.parse(text) : null; } catch { /* not JSON: the status tells */ }
  if (!res.ok) {
    throw new Failure(res.status, data?.code ?? `http_${res.status}`, data?.detail ?? data?.message ?? data?.title, data);
  }
  return data;
}

/** control calls the sandbox's control API. */
export const control = (method, path, body) => send(method, '/sandbox/v1' + path, { body });

/** every reads a list of the control API. */
export const every = async (path) => (await control('GET', path))?.data ?? [];

const sessions = new Map(); // "app user" → promise of a token
const who = () => `${state.app} ${state.user}`;

async function login(app, user) {
  const { code } = await control('POST', '/login', { app_id: app, user });
  const { token } = await send('POST', '/phone/service/mp/v1/login', { body: { app_id: app, code } });
  return token;
}

function token(fresh) {
  const key = who();
  if (fresh || !sessions.has(key)) {
    const made = login(state.app, state.user);
    sessions.set(key, made);
    made.catch(() => sessions.get(key) === made && sessions.delete(key));
  }
  return sessions.get(key);
}

/**
 * shop calls the mini-program API as the user of the phone, logging in where needed. An expired session logs in again
 * once, silently; the same request is then sent anew, under the same Idempotency-Key where it has one.
 */
export async function shop(method, path, { body, idempotencyKey, timeout } = {}) {
  const call = (bearer) => send(method, '/phone/service/mp/v1' + path, {
    body,
    timeout,
    headers: { Authorization: `Bearer ${bearer}`, ...(idempotencyKey ? { 'Idempotency-Key': idempotencyKey } : {}) },
  });
  const bearer = await token(false);
  try {
    return await call(bearer);
  } catch (err) {
    if (err.status !== 401) throw err;
    return call(await token(true));
  }
}

/** freshKey makes an Idempotency-Key. randomUUID needs a secure context, which a phone on the local network is not. */
export function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}
