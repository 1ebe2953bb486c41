// live.js keeps the sandbox's books on this page fresh: news by server-sent events, and by polling where those fail.

import { control, every } from './api.js';
import { state, update } from './store.js';

const KEEP = 2000; // journal entries held on the page
let source = null;
let poller = 0;
let pending = null;
let again = false;

const lastSeq = () => state.journal.at(-1)?.seq ?? 0;

/** reload reads everything anew: at the start, after a reset, after the sandbox came back. */
export async function reload() {
  update({ journal: await every('/journal?after=0') });
  await Promise.all([refresh(), readClock(), readFaults()]);
  update({ loaded: true });
}

/** refresh reads payments and notifications; calls while one is under way lead to one more. */
export function refresh() {
  if (pending) { again = true; return pending; }
  pending = (async () => {
    do {
      again = false;
      const [payments, notifications] = await Promise.all([every('/payments'), every('/notifications')]);
      arrange(payments);
      const change = { payments, notifications };
      const gone = state.selected !== 'all' && !payments.some((p) => p.out_trade_no === state.selected);
      if (gone || (state.follow && payments.length)) change.selected = payments[0]?.out_trade_no ?? null;
      update(change);
    } while (again);
  })().finally(() => { pending = null; });
  return pending;
}

// arrange puts the newest payment first, by its first mark in the journal.
function arrange(payments) {
  const first = new Map();
  for (const e of state.journal) if (e.out_trade_no && !first.has(e.out_trade_no)) first.set(e.out_trade_no, e.seq);
  const rank = (p) => (p.created_at ? Date.parse(p.created_at) : first.get(p.out_trade_no) ?? 0);
  payments.sort((a, b) => rank(b) - rank(a));
}

export async function readClock() {
  const asked = Date.now();
  const { now } = await control('GET', '/clock');
  update({ clock: Date.parse(now) - (asked + Date.now()) / 2 });
}

export async function readFaults() { update({ faults: await every('/faults') }); }

let soon = 0;
let tell = () => {};

/** onNews names who else wants to hear of new entries. */
export function onNews(fn) { tell = fn; }

function take(entries) {
  const news = entries.filter((e) => e.seq > lastSeq());
  if (!news.length) return;
  if (news.some((e) => e.name === 'sandbox.reset')) { reload().catch(lost); return; }
  update({ journal: [...state.journal, ...news].slice(-KEEP) });
  if (news.some((e) => e.kind === 'clock')) readClock().catch(lost);
  if (news.some((e) => e.kind === 'fault') || state.faults.length) readFaults().catch(lost);
  tell(news);
  clearTimeout(soon);
  soon = setTimeout(() => refresh().catch(lost), 60);
}

function lost() { if (state.link !== 'lost') update({ link: 'lost' }); }

async function poll() {
  try {
    if (state.link === 'lost' || !state.loaded) await reload();
    else take(await every(`/journal?after=${lastSeq()}`));
    if (state.link !== 'live') update({ link: 'polling' });
  } catch { lost(); }
}

function startPolling() {
  if (poller) return;
  let n = 0;
  poller = setInterval(() => {
    poll();
    if (++n % 5 === 0) listen();
  }, 2000);
}

function listen() {
  source?.close();
  source = new EventSource(`/sandbox/v1/journal/stream?after=${lastSeq()}`);
  let broken = false;
  source.onopen = () => {
    clearInterval(poller);
    poller = 0;
    // The sandbox may have been restarted, with a journal that begins anew.
    if (broken || state.link === 'lost') reload().catch(lost);
    broken = false;
    update({ link: 'live' });
  };
  source.onmessage = (event) => take([JSON.parse(event.data)]);
  source.onerror = () => {
    broken = true;
    startPolling();
    poll();
  };
}

/** startLive begins to listen; it never ends. */
export async function startLive() {
  try { await reload(); } catch { lost(); }
  listen();
  document.addEventListener('visibilitychange', () => { if (!document.hidden) poll(); });
}
