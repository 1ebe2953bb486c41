// store.js holds the one state of the page and redraws it at most once a frame.

const kept = (name) => { try { return sessionStorage.getItem(name); } catch { return null; } };

export const state = {
  lang: document.documentElement.lang === 'en' ? 'en' : 'zh',
  theme: document.documentElement.dataset.theme ?? 'auto',
  service: document.body.dataset.service ?? '',
  link: 'connecting', // connecting | live | polling | lost: how the page hears of news

  apps: [], // {id, merchant_id} of every merchant of the sandbox
  app: '',
  users: ['xiaoming', 'xiaohong', 'laowang'],
  user: kept('fenhao_user') ?? 'xiaoming',

  shop: { status: 'loading', products: [], error: null },
  orders: { status: 'loading', list: [], error: null },
  view: { name: 'shop' }, // shop | orders | result, and what it shows
  sheet: null, // product | cashier, and what it shows
  last: null, // the last requestPayment: what went in, what came out, why

  payments: [],
  notifications: [],
  journal: [],
  faults: [],
  clock: null, // sandbox time minus the browser's, in milliseconds
  loaded: false,

  selected: null, // an out_trade_no, or 'all'
  follow: true, // the newest payment selects itself
  open: new Set(), // seq of the journal entries shown in full
  ribbon: false,
  tab: 'timeline', // timeline | controls, where they share a column
  drawer: false,
  confirming: null, // which control waits for a second tap
  dialog: null,
  hint: null, // the control whose call is on show
  busy: new Set(), // controls in flight
  toasts: [],
};

if (!state.users.includes(state.user)) state.users.push(state.user);

let draw = () => {};
let queued = false;
let after = [];

/** onDraw names the function that draws the state. */
export function onDraw(fn) { draw = fn; }

/** update merges a change into the state and asks for a redraw. */
export function update(change) {
  if (change) Object.assign(state, change);
  if (queued) return;
  queued = true;
  const run = () => {
    if (!queued) return;
    queued = false;
    draw();
    const todo = after;
    after = [];
    for (const fn of todo) fn();
  };
  // A hidden page gets no frames, yet its title and live regions shall stay true.
  if (document.hidden) setTimeout(run, 50);
  else { requestAnimationFrame(run); setTimeout(run, 100); }
}

/** afterDraw runs fn once the next redraw is on the page. */
export function afterDraw(fn) { after.push(fn); update(); }

let toastID = 0;

/** toast says one sentence for a moment. kind is ok or bad; seq, where given, is the journal entry that it leads to. */
export function toast(text, kind = 'ok', seq = null) {
  const item = { id: ++toastID, text, kind, seq };
  update({ toasts: [...state.toasts.slice(-2), item] });
  setTimeout(() => update({ toasts: state.toasts.filter((t) => t !== item) }), kind === 'bad' ? 6000 : 3200);
}
