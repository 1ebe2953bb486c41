// buyer.js is what the person with the phone does: look, order, pay, wait for the shop's word. It never believes the
// cashier: whatever requestPayment says, the order is what the shop's server says it is.

import { Failure, control, freshKey, shop } from './api.js';
import { state, update } from './store.js';
import { t } from './i18n.js';

let visit = 0; // rises when the phone changes hands, so that late answers for the last user are dropped
let asking = 0; // rises when another order is asked about
let shopTimer = 0;

/** enter opens the shop as the current user. A phone that changed hands forgets the address of the page it was on. */
export async function enter(handed = true) {
  if (handed) history.replaceState(null, '', location.pathname + location.search);
  visit++;
  asking++;
  update({
    view: { name: 'shop' }, sheet: null, last: null,
    shop: { ...state.shop, status: 'loading', error: null },
    orders: { status: 'loading', list: [], error: null },
  });
  await loadProducts();
}

// The pages of the phone are in the browser's history, so that Back means on it what it means on a phone.

function visited(hash) {
  if (location.hash !== hash) history.pushState(null, '', hash || location.pathname + location.search);
}

/** route opens the page that the address names. Back out of the cashier is the buyer's cancel. */
export async function route() {
  if (state.sheet?.kind === 'cashier') { settle('cancel'); return; }
  const [, name, id] = /^#(orders|order)(?:\/(.+))?$/.exec(location.hash) ?? [];
  if (name === 'orders') openOrders();
  else if (!id) { if (state.view.name !== 'shop' || state.sheet) openShop(); }
  else {
    const mine = visit;
    try {
      const order = state.orders.list.find((o) => o.id === id) ?? await shop('GET', `/orders/${encodeURIComponent(id)}`);
      if (mine === visit) showResult(order);
    } catch { if (mine === visit) openOrders(); }
  }
}

/** loadProducts reads the shelf. Where the shop does not answer it tries again by itself. */
export async function loadProducts(wait = 2000) {
  const mine = visit;
  clearTimeout(shopTimer);
  try {
    if (!state.service) throw new Failure(502, 'service_missing');
    const { data } = await shop('GET', '/products?limit=50');
    if (mine !== visit) return;
    update({ shop: { status: 'ready', products: data.filter((p) => p.active !== false), error: null } });
    loadOrders();
  } catch (error) {
    if (mine !== visit) return;
    update({ shop: { status: 'error', products: [], error } });
    if (error.code !== 'service_missing') {
      shopTimer = setTimeout(() => loadProducts(Math.min(wait * 1.5, 10000)), wait);
    }
  }
}

/** loadOrders reads the user's own orders. */
export async function loadOrders() {
  const mine = visit;
  try {
    const { data } = await shop('GET', '/orders');
    if (mine === visit) update({ orders: { status: 'ready', list: data, error: null } });
  } catch (error) {
    if (mine === visit) update({ orders: { ...state.orders, status: 'error', error } });
  }
}

/** keep puts an order just heard of into the list and onto the result page. */
function keep(order) {
  const list = state.orders.list.some((o) => o.id === order.id)
    ? state.orders.list.map((o) => (o.id === order.id ? order : o))
    : [order, ...state.orders.list];
  const change = { orders: { ...state.orders, list } };
  if (state.view.name === 'result' && state.view.id === order.id) change.view = { ...state.view, order };
  update(change);
}

export function openProduct(product) {
  update({ sheet: { kind: 'product', product, quantity: 1, busy: false, error: null, key: freshKey() } });
}

/** setQuantity changes what is ordered, so it is another request with a key of its own. */
export function setQuantity(quantity) {
  if (state.sheet?.busy || quantity < 1 || quantity > 99) return;
  update({ sheet: { ...state.sheet, quantity, error: null, key: freshKey() } });
}

/** buy places the order and opens the cashier. After an unclear answer the next tap repeats the very same request. */
export async function buy() {
  const sheet = state.sheet;
  if (sheet?.kind !== 'product' || sheet.busy) return;
  const mine = visit;
  update({ sheet: { ...sheet, busy: true, error: null } });
  try {
    const { order, payment } = await shop('POST', '/orders', {
      body: { items: [{ product_id: sheet.product.id, quantity: sheet.quantity }] },
      idempotencyKey: sheet.key,
      timeout: 30000,
    });
    if (mine !== visit) return;
    update({ follow: true });
    keep(order);
    cashier(order, payment);
  } catch (error) {
    if (mine !== visit || state.sheet?.kind !== 'product') return;
    update({ sheet: { ...sheet, busy: false, error, key: error.unclear ? sheet.key : freshKey() } });
  }
}

function cashier(order, payment) {
  update({ sheet: { kind: 'cashier', order, payment, busy: null } });
}

export function closeSheet() {
  if (state.sheet?.busy) return;
  if (state.sheet?.kind === 'cashier') settle('cancel');
  else update({ sheet: null });
}

/** settle plays the buyer's choice at the cashier (pay, cancel or fail), then asks the shop what came of it. */
export async function settle(action) {
  const sheet = state.sheet;
  if (sheet?.kind !== 'cashier' || sheet.busy) return;
  const mine = visit;
  const { timeStamp, nonceStr, package: prepay, signType, paySign } = sheet.payment;
  const args = { timeStamp, nonceStr, package: prepay, signType, paySign };
  update({ sheet: { ...sheet, busy: action } });
  let errMsg, reason;
  try {
    const answer = await control('POST', '/request-payment', { app_id: state.app, user: state.user, ...args, action });
    ({ errMsg } = answer);
    reason = answer.reason ?? '';
  } catch (error) {
    errMsg = '';
    reason = error.message;
  }
  if (mine !== visit) return;
  const outcome = errMsg === 'requestPayment:ok' ? 'ok'
    : errMsg === 'requestPayment:fail cancel' ? 'cancel'
      : errMsg ? 'fail' : 'unknown';
  update({ last: { args, action, errMsg, reason, at: Date.now() } });
  if (outcome === 'fail' && action !== 'fail') update({ ribbon: true });
  showResult(sheet.order, outcome);
}

/** showResult opens the page of one order and stays with it until the shop's word is final. */
export function showResult(order, outcome = 'none') {
  update({
    sheet: null, drawer: false,
    view: { name: 'result', id: order.id, order, outcome, asked: false, settled: false, busy: null, error: null, notice: null },
  });
  visited('#order/' + order.id);
  confirm(order.id, outcome);
}

const onPage = (turn, id) => turn === asking && state.view.name === 'result' && state.view.id === id;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * confirm asks the shop about an order until it has left pending or a minute has passed. A buyer who cancelled gets the
 * first word at once, without the server waiting for more.
 */
export async function confirm(id, outcome) {
  const turn = ++asking;
  const end = Date.now() + 60000;
  let quick = outcome === 'cancel' || outcome === 'fail' || outcome === 'none';
  let backoff = 1000;
  update({ view: { ...state.view, settled: false } });
  while (onPage(turn, id)) {
    try {
      const order = await shop('GET', `/orders/${encodeURIComponent(id)}${quick ? '' : '?wait=20s'}`, { timeout: 30000 });
      if (!onPage(turn, id)) { keep(order); return; }
      keep(order);
      update({ view: { ...state.view, asked: true, error: null } });
      if (order.status !== 'pending' || (outcome === 'none' && quick)) break;
      if (!quick && (outcome === 'cancel' || outcome === 'fail')) break;
      quick = false;
      backoff = 1000;
    } catch (error) {
      if (!onPage(turn, id)) return;
      update({ view: { ...state.view, error } });
      await pause(backoff);
      backoff = Math.min(backoff * 2, 5000);
    }
    if (Date.now() > end) break;
  }
  if (onPage(turn, id)) update({ view: { ...state.view, settled: true } });
}

/** payAgain asks the shop to sign the same order afresh and opens the cashier with that. */
export async function payAgain(order) {
  if (state.view.busy) return;
  const mine = visit;
  update({ view: { ...state.view, busy: 'pay ' + order.id, notice: null } });
  try {
    const { payment } = await shop('POST', `/orders/${encodeURIComponent(order.id)}/payment`, {
      idempotencyKey: freshKey(), timeout: 30000,
    });
    if (mine !== visit) return;
    asking++;
    update({ follow: true, view: { ...state.view, busy: null } });
    cashier(order, payment);
  } catch (error) {
    if (mine !== visit) return;
    update({ view: { ...state.view, busy: null } });
    complain(error);
    reread(order.id);
  }
}

/** closeOrder gives an order up. */
export async function closeOrder(order) {
  if (state.view.busy) return;
  const mine = visit;
  update({ view: { ...state.view, busy: 'close ' + order.id, notice: null } });
  try {
    const closed = await shop('POST', `/orders/${encodeURIComponent(order.id)}/close`, {
      idempotencyKey: freshKey(), timeout: 30000,
    });
    if (mine === visit) keep(closed);
  } catch (error) {
    if (mine !== visit) return;
    complain(error);
    reread(order.id);
  } finally {
    if (mine === visit) update({ view: { ...state.view, busy: null } });
  }
}

async function reread(id) {
  try { keep(await shop('GET', `/orders/${encodeURIComponent(id)}`)); } catch { /* the list shows its own error */ }
}

function complain(error) { update({ view: { ...state.view, notice: error } }); }

/** sentence says in the buyer's words what went wrong. */
export function sentence(error) {
  switch (error.code) {
    case 'network': return t('error.network');
    case 'timeout': return t('error.timeout');
    case 'service_unreachable': return t('error.unreachable', { service: state.service });
    default: return error.message && !/^http_\d+$/.test(error.message) ? error.message : t('error.http', { status: error.status });
  }
}

export function openShop() {
  asking++;
  update({ view: { name: 'shop' }, sheet: null });
  visited('');
  if (state.shop.status === 'error') loadProducts();
}

export function openOrders() {
  asking++;
  update({ view: { name: 'orders' }, sheet: null });
  visited('#orders');
  loadOrders();
}
