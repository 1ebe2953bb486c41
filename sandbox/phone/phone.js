// phone.js draws the phone: the shop, the user's orders, the page of one order, and the sheets that slide over them.

import { h } from './dom.js';
import { icon, picture } from './art.js';
import { clock, day, now, pretty, yuan } from './format.js';
import { has, t } from './i18n.js';
import {
  buy, closeOrder, closeSheet, confirm, loadOrders, loadProducts, openOrders, openProduct, openShop, payAgain, sentence,
  setQuantity, settle, showResult,
} from './buyer.js';
import { state, update } from './store.js';
import { copyButton } from './parts.js';

/** userName is a user of the phone in the page's language. */
export const userName = (user) => (has('user.' + user) ? t('user.' + user) : user);

/** phoneView draws the phone. */
export function phoneView() {
  const covered = Boolean(state.sheet);
  return h('section.phone', { 'aria-label': t('phone.label'), 'data-view': state.view.name },
    h('div.status', { 'aria-hidden': 'true' },
      h('span.status-time', {}, state.clock === null ? '' : clock(now()).slice(0, 5)),
      h('span.badge', {}, t('emulator')),
      h('span.status-user', {}, icon('user'), userName(state.user))),
    h('div.screen', { key: 'screen', inert: covered }, header(), content(), tabs()),
    sheet());
}

function header() {
  const back = state.view.name === 'result';
  const title = { shop: t('shop.title'), orders: t('orders.title'), result: t('result.title') }[state.view.name];
  return h('header.bar', {},
    back ? h('button.bar-back', { type: 'button', 'aria-label': t('back'), on: { click: openShop } }, icon('back')) : h('span'),
    h('h1', {}, title),
    h('span.capsule', { 'aria-hidden': 'true' }, icon('more'), h('i'), icon('ring')));
}

function tabs() {
  const pending = state.orders.list.filter((o) => o.status === 'pending').length;
  const tab = (name, glyph, label, go, count) => h('button.tab', {
    type: 'button', 'aria-current': state.view.name === name ? 'page' : null, 'data-tab': name, on: { click: go },
  }, icon(glyph), h('span', {}, label), count ? h('b.count', {}, String(count)) : null);
  if (state.view.name === 'result') return null;
  return h('nav.tabs', { 'aria-label': t('phone.nav') },
    tab('shop', 'shop', t('shop.tab'), openShop), tab('orders', 'orders', t('orders.tab'), openOrders, pending));
}

function content() {
  switch (state.view.name) {
    case 'orders': return ordersView();
    case 'result': return resultView();
    default: return shopView();
  }
}

// The shop

function shopView() {
  const { status, products, error } = state.shop;
  const page = (...kids) => h('main.page', { key: 'shop', 'data-shop': status }, kids);
  if (status === 'error') return page(shopDown(error));
  if (status === 'loading' && !products.length) {
    return page(h('div.hero.skeleton', {}), h('div.goods.skeletons', { 'aria-label': t('loading') },
      [0, 1, 2, 3].map((i) => h('div.skeleton', { key: 'skeleton' + i }))));
  }
  if (!products.length) return page(empty('box', t('shop.empty'), t('shop.empty_how')));
  return page(
    h('div.hero', {}, h('p', {}, t('shop.hello', { name: userName(state.user) })), h('small', {}, t('shop.promise'))),
    h('ul.goods', {}, products.map((p) => h('li', { key: p.id },
      h('button.good', { type: 'button', 'data-product': p.id, on: { click: () => openProduct(p) } },
        picture(p),
        h('span.good-name', {}, p.name),
        h('span.price', {}, h('small', {}, '¥'), yuan(p.price.total)))))));
}

function shopDown(error) {
  const command = error.code === 'service_missing' ? 'fenhao sandbox --service http://127.0.0.1:8080' : 'fenhao serve';
  const text = error.code === 'service_missing' ? t('down.missing')
    : error.code === 'service_unreachable' ? t('down.unreachable', { service: state.service })
      : error.status === 401 ? t('down.session') : sentence(error);
  return h('div.state', { role: 'alert', 'data-error': error.code },
    h('span.state-icon.bad', {}, icon('plug')),
    h('h2', {}, error.code === 'service_missing' ? t('down.missing_title') : t('down.title')),
    h('p', {}, text),
    ['service_missing', 'service_unreachable'].includes(error.code)
      ? h('div.command', {}, h('code', {}, command), copyButton(command)) : null,
    error.code === 'service_missing' ? h('p.quiet', {}, t('down.dev'))
      : [h('button.ghost', { type: 'button', on: { click: () => loadProducts() } }, t('retry')), h('p.quiet', {}, t('down.auto'))]);
}

function empty(glyph, title, text, more) {
  return h('div.state', {}, h('span.state-icon', {}, icon(glyph)), h('h2', {}, title), h('p', {}, text), more);
}

// Orders

function ordersView() {
  const { status, list, error } = state.orders;
  const page = (...kids) => h('main.page', { key: 'orders' }, kids);
  if (status === 'error' && !list.length) {
    return page(h('div.state', { role: 'alert' }, h('span.state-icon.bad', {}, icon('plug')), h('h2', {}, t('down.title')),
      h('p', {}, sentence(error)), h('button.ghost', { type: 'button', on: { click: loadOrders } }, t('retry'))));
  }
  if (status === 'loading' && !list.length) {
    return page(h('div.orders.skeletons', { 'aria-label': t('loading') }, [0, 1, 2].map((i) => h('div.skeleton', { key: 'skeleton' + i }))));
  }
  if (!list.length) {
    return page(empty('orders', t('orders.empty'), t('orders.empty_how'),
      h('button.ghost', { type: 'button', on: { click: openShop } }, t('result.shop'))));
  }
  return page(notice(), h('ul.orders', {}, list.map((o) => h('li.order', { key: o.id, 'data-order': o.id, 'data-state': o.status },
    h('button.order-main', { type: 'button', on: { click: () => showResult(o) } },
      picture(goods(o)),
      h('span.order-text', {}, h('b', {}, describe(o)), h('small', {}, `${day(o.created_at).slice(5)} ${clock(o.created_at)}`)),
      h('span.order-sum', {}, h('b', {}, '¥' + yuan(o.amount.total)), pill(o))),
    o.status === 'pending' ? h('div.order-acts', {}, closeButton(o), againButton(o, 'compact')) : null))));
}

// goods is what to draw for an order: its first item, as the shelf has it.
function goods(order) {
  const item = order.items?.[0];
  return state.shop.products.find((p) => p.id === item?.product_id)
    ?? { id: item?.product_id ?? order.id, name: item?.name ?? order.description ?? '' };
}

function describe(order) {
  const count = (order.items ?? []).reduce((n, i) => n + (i.quantity ?? 0), 0);
  return (order.description || goods(order).name) + (count > 1 && !/×/.test(order.description ?? '') ? ` ×${count}` : '');
}

/** pill shows the state of an order. */
function pill(order) {
  const kind = order.refunded > 0 && order.status === 'paid' ? 'refunded' : order.status;
  return h('span.pill', { class: kind }, t('order.' + kind));
}

function notice() {
  return state.view.notice ? h('p.notice', { role: 'alert', key: 'notice' }, icon('alert'), sentence(state.view.notice)) : null;
}

function againButton(order, size = '') {
  const busy = state.view.busy === 'pay ' + order.id;
  return h('button.primary', {
    type: 'button', class: size, 'data-act': 'pay-again', disabled: Boolean(state.view.busy), 'aria-busy': busy, on: { click: () => payAgain(order) },
  }, busy ? spinner() : null, t('orders.again', { amount: yuan(order.amount.total) }));
}

function closeButton(order) {
  const busy = state.view.busy === 'close ' + order.id;
  return h('button.ghost', {
    type: 'button', 'data-act': 'close', disabled: Boolean(state.view.busy), 'aria-busy': busy, on: { click: () => closeOrder(order) },
  }, busy ? spinner() : null, t('orders.close'));
}

const spinner = () => h('i.spinner', { 'aria-hidden': 'true' });

// One order

/** resultState names what the page of an order says: the server's word first, the cashier's only for its manner. */
export function resultState(view) {
  if (view.order.status !== 'pending') return view.order.status;
  switch (view.outcome) {
    case 'cancel': return 'cancelled';
    case 'fail': return 'failed';
    case 'none': return 'unpaid';
    default: return view.settled ? 'unknown' : 'confirming';
  }
}

const RESULT_ICON = { paid: 'check', closed: 'close', cancelled: 'pause', failed: 'alert', unpaid: 'pause', unknown: 'time', confirming: 'time' };

function resultView() {
  const { view } = state;
  const { order } = view;
  const what = resultState(view);
  const fresh = what === 'confirming' || what === 'unknown';
  const row = (label, value, mono) => h('div', {}, h('dt', {}, label), h('dd', { class: mono ? 'mono' : '' }, value));
  return h('main.page.result', { key: 'result ' + order.id, 'data-state': what, 'data-order': order.id },
    h('div.outcome', { class: what, role: 'status', 'aria-live': 'polite' },
      h('span.outcome-icon', { key: what }, what === 'confirming' ? h('i.spinner.large', {}) : icon(RESULT_ICON[what])),
      h('h2', {}, t('result.' + what)),
      h('p.outcome-sum', {}, h('small', {}, '¥'), yuan(order.amount.total)),
      h('p.quiet', {}, view.outcome === 'unknown' && what === 'confirming' ? t('result.silent') : t('result.' + what + '_text'))),
    h('p.word', { class: view.error ? 'bad' : view.asked ? 'ok' : '' },
      view.error ? [icon('alert'), t('result.asking_again', { why: sentence(view.error) })]
        : view.asked ? [icon('check'), t('result.word', { state: t('order.' + order.status) })]
          : [spinner(), t('result.asking')]),
    notice(),
    h('dl.facts', {},
      row(t('result.goods'), describe(order)),
      row(t('result.number'), order.out_trade_no, true),
      order.transaction_id ? row(t('result.transaction'), order.transaction_id, true) : null,
      order.paid_at ? row(t('result.paid_at'), `${day(order.paid_at)} ${clock(order.paid_at)}`) : null,
      order.refunded > 0 ? row(t('order.refunded'), '¥' + yuan(order.refunded)) : null),
    h('div.result-acts', {},
      order.status === 'pending' && !fresh ? [againButton(order), closeButton(order)] : null,
      what === 'unknown' ? h('button.primary', { type: 'button', 'data-act': 'refresh', on: { click: () => confirm(order.id, view.outcome) } }, t('result.refresh')) : null,
      what === 'paid' || what === 'closed' ? h('button.primary', { type: 'button', 'data-act': 'shop', on: { click: openShop } }, t('result.shop')) : null,
      h('button.ghost', { type: 'button', 'data-act': 'orders', on: { click: openOrders } }, t('result.orders'))));
}

// Sheets

function sheet() {
  const what = state.sheet;
  if (!what) return null;
  const body = what.kind === 'product' ? productSheet(what) : cashierSheet(what);
  return h('div.cover', { key: 'sheet ' + what.kind, on: { click: (e) => { if (e.target === e.currentTarget && what.kind === 'product') closeSheet(); } } }, body);
}

function sheetFrame(name, title, busy, ...kids) {
  return h('div.sheet', { class: name, role: 'dialog', 'aria-label': title, 'data-sheet': name },
    h('button.sheet-close', { type: 'button', 'aria-label': name === 'cashier' ? t('cashier.cancel') : t('close'), disabled: Boolean(busy), on: { click: closeSheet } }, icon('close')),
    kids);
}

function productSheet({ product, quantity, busy, error }) {
  return sheetFrame('product', product.name, busy,
    h('div.product-picture', {}, picture(product, true)),
    h('div.product-text', {}, h('h2', {}, product.name), product.description ? h('p.quiet', {}, product.description) : null),
    h('div.product-row', {},
      h('span.price.big', {}, h('small', {}, '¥'), yuan(product.price.total)),
      h('div.stepper', { role: 'group', 'aria-label': t('product.quantity') },
        h('button', { type: 'button', 'aria-label': t('product.less'), disabled: busy || quantity <= 1, on: { click: () => setQuantity(quantity - 1) } }, icon('minus')),
        h('output', { 'aria-live': 'polite' }, String(quantity)),
        h('button', { type: 'button', 'aria-label': t('product.more'), disabled: busy || quantity >= 99, on: { click: () => setQuantity(quantity + 1) } }, icon('plus')))),
    error ? h('p.notice', { role: 'alert' }, icon('alert'), error.unclear ? t('product.unclear', { why: sentence(error) }) : sentence(error)) : null,
    h('button.primary.wide', { type: 'button', 'data-act': 'buy', 'data-autofocus': true, disabled: busy, 'aria-busy': busy, on: { click: buy } },
      busy ? [spinner(), t('product.ordering')] : error ? t('product.retry') : t('product.pay', { amount: yuan(product.price.total * quantity) })));
}

function cashierSheet({ order, busy }) {
  const choice = (action, cls, label, sub) => h('button', {
    type: 'button', class: cls, 'data-act': action, disabled: Boolean(busy), 'aria-busy': busy === action,
    'data-autofocus': action === 'pay', on: { click: () => settle(action) },
  }, h('span', {}, busy === action ? spinner() : null, label), sub ? h('small', {}, sub) : null);
  return sheetFrame('cashier', t('cashier.title'), busy,
    h('p.cashier-title', {}, t('cashier.title')),
    h('p.cashier-payee', {}, t('cashier.payee', { merchant: order.merchant_id ?? '' })),
    h('p.cashier-sum', {}, h('small', {}, '¥'), yuan(order.amount.total)),
    h('dl.cashier-facts', {},
      h('div', {}, h('dt', {}, t('result.goods')), h('dd', {}, describe(order))),
      h('div', {}, h('dt', {}, t('cashier.method')), h('dd', {}, h('i.coin', { 'aria-hidden': 'true' }, '¥'), t('cashier.balance')))),
    h('div.cells', { class: busy === 'pay' ? 'filling' : '', 'aria-hidden': 'true' }, [1, 2, 3, 4, 5, 6].map(() => h('i', {}, h('b')))),
    choice('pay', 'primary wide', t('cashier.pay'), null),
    h('p.cashier-or', {}, t('cashier.or')),
    h('div.cashier-others', {},
      choice('cancel', 'ghost', t('cashier.cancel'), t('cashier.cancel_sub')),
      choice('fail', 'ghost bad', t('cashier.fail'), t('cashier.fail_sub'))));
}

// The ribbon

/** ribbonView shows the last wx.requestPayment as the program on the phone sees it, and what lay behind it. */
export function ribbonView() {
  const { last } = state;
  if (!last) {
    return h('section.ribbon.idle', { 'aria-label': t('ribbon.label') },
      h('code', {}, 'wx.requestPayment'), h('span.quiet', {}, t('ribbon.idle')));
  }
  const why = reason(last);
  const ok = last.errMsg === 'requestPayment:ok';
  const call = `wx.requestPayment(${pretty(last.args)})`;
  return h('section.ribbon', { class: state.ribbon ? 'open' : '', 'aria-label': t('ribbon.label'), 'data-result': last.errMsg },
    h('button.ribbon-head', { type: 'button', 'aria-expanded': String(state.ribbon), on: { click: () => update({ ribbon: !state.ribbon }) } },
      h('i.dot', { class: ok ? 'ok' : last.errMsg.endsWith('cancel') ? 'warn' : 'bad' }),
      h('code', {}, last.errMsg || t('ribbon.silent')), icon('chevron', 'turn')),
    state.ribbon ? h('div.ribbon-body', {},
      h('p.quiet', {}, h('b', {}, t('ribbon.why') + ' '), why),
      h('div.block', {}, h('pre', { tabindex: 0 }, call), copyButton(call))) : null);
}

// reason is the sandbox's own account of the call: from its answer, or else from its journal.
function reason(last) {
  if (last.errMsg === 'requestPayment:ok') return t('ribbon.ok');
  if (last.errMsg === 'requestPayment:fail cancel') return t('ribbon.cancel');
  if (last.errMsg === 'requestPayment:fail payment failed') return t('ribbon.fail');
  return last.reason || t('ribbon.unknown');
}
