// timeline.js draws the payments and, step by step, what happened to the chosen one: who called whom, what was said,
// and what is due next.

import { h } from './dom.js';
import { icon } from './art.js';
import { clock, isOf, now, pretty, span, tail, yuan } from './format.js';
import { has, t } from './i18n.js';
import { act, tip } from './controls.js';
import { copyButton } from './parts.js';
import { state, update } from './store.js';

const SHOWN = 150; // rows of a list drawn at once

/** timelineView draws the list of payments and the timeline of the selected one. */
export function timelineView() {
  if (!state.loaded) {
    return h('section.timeline-column', { key: 'timeline', 'aria-label': t('timeline.label') },
      state.link === 'lost' ? unreachable() : h('div.skeletons.rows', {}, [0, 1, 2].map((i) => h('div.skeleton', { key: 'skeleton' + i }))));
  }
  return h('section.timeline-column', { key: 'timeline', 'aria-label': t('timeline.label') },
    state.link === 'lost' ? unreachable() : null,
    payments(), state.selected ? timeline() : emptyTimeline());
}

function unreachable() {
  return h('p.notice', { role: 'alert', key: 'lost' }, icon('plug'), t('link.lost_text', { sandbox: location.origin }));
}

// Payments

function payments() {
  const pick = (id) => () => update({ selected: id, follow: id !== 'all' && (id ?? undefined) === state.payments[0]?.out_trade_no });
  const on = (id) => state.selected === id;
  return h('div.payments-box', {},
    h('div.column-head', {}, h('h2', {}, t('payments.title')), h('span.count', {}, String(state.payments.length)),
      h('span.grow', {}),
      h('button.link', { type: 'button', 'aria-pressed': String(on('all')), 'data-pick': 'all', on: { click: pick(on('all') ? state.payments[0]?.out_trade_no ?? null : 'all') } },
        icon('list'), t('payments.all'))),
    state.payments.length ? h('ul.payments', { 'data-list': true }, state.payments.slice(0, SHOWN).map((p) => h('li', { key: p.out_trade_no },
      h('button.payment', {
        type: 'button', 'data-row': true, 'data-payment': p.out_trade_no, 'data-state': p.state, 'aria-current': on(p.out_trade_no) ? 'true' : null,
        on: { click: pick(p.out_trade_no) },
      },
      h('span.payment-sum', {}, '¥' + yuan(total(p))),
      h('span.payment-what', {}, h('span', {}, goodsOf(p)), h('small.mono', {}, tail(p.out_trade_no, 12))),
      statePill(p),
      h('time.mono', {}, startOf(p)))))) : null);
}

const total = (p) => (typeof p.amount === 'object' ? p.amount.total : p.amount);

// goodsOf is what the payment was for, where the phone's orders tell.
function goodsOf(p) {
  const order = state.orders.list.find((o) => isOf(o, p.out_trade_no));
  return p.description ?? order?.description ?? t('payments.one');
}

function startOf(p) {
  const at = p.created_at ?? state.journal.find((e) => e.out_trade_no === p.out_trade_no)?.at ?? p.paid_at;
  return at ? clock(at) : '';
}

function statePill(p) {
  const name = String(p.state).toLowerCase();
  return h('span.pill', { class: name, title: p.state }, has('pay.' + name) ? t('pay.' + name) : p.state);
}

// The timeline

function timeline() {
  const all = state.selected === 'all';
  const rows = (all ? state.journal : state.journal.filter((e) => e.out_trade_no === state.selected)).slice().sort(order);
  const shown = rows.slice(-SHOWN);
  const payment = state.payments.find((p) => p.out_trade_no === state.selected);
  return h('div.timeline-box', {},
    h('div.column-head', {}, h('h2', {}, all ? t('timeline.all') : t('timeline.title')),
      payment ? h('code.head-id', { title: payment.out_trade_no }, payment.out_trade_no) : null,
      payment ? copyButton(payment.out_trade_no) : null),
    payment ? lane(payment) : null,
    rows.length > shown.length ? h('p.quiet.center', {}, t('timeline.earlier', { n: rows.length - shown.length })) : null,
    h('ol.timeline', { 'data-list': true, 'data-of': state.selected, key: 'timeline ' + state.selected }, shown.map(entry), payment ? due(payment) : null));
}

// The journal has an act when it is over. Read from above, what was done stands before all that it led to; a question
// stands where it was answered. The added milliseconds make up for what the clock's resolution hides.
const began = (e) => Date.parse(e.at) - (e.kind === 'user' ? 5 : e.method === 'POST' ? e.ms + 1 : 0);
const order = (a, b) => began(a) - began(b) || a.seq - b.seq;

/** lane sums a payment up in a few steps, so that a newcomer sees how far it has come. */
function lane(payment) {
  const mine = state.notifications.filter((n) => n.out_trade_no === payment.out_trade_no);
  const answered = mine.some((n) => n.attempts?.some((a) => a.status >= 200 && a.status < 300));
  const order = state.orders.list.find((o) => isOf(o, payment.out_trade_no));
  const paid = Boolean(payment.paid_at || payment.transaction_id);
  const closed = ['CLOSED', 'REVOKED', 'closed'].includes(payment.state);
  const steps = [
    ['ordered', true, false],
    ['paid', paid, closed && !paid],
    ['notified', answered, paid && !answered && mine.some((n) => n.attempts?.length)],
  ];
  if (order) steps.push(['booked', order.status === 'paid', false]); // another user's order is not ours to see
  return h('ol.lane', { 'aria-label': t('lane.label') }, steps.map(([name, done, off]) => h('li', {
    class: done ? 'done' : off ? 'off' : '', key: name,
  }, h('i', {}, icon(done ? 'check' : off ? 'close' : 'ring')), h('span', {}, off && name === 'paid' ? t('lane.closed') : t('lane.' + name)))));
}

const GLYPH = { shop: 'tap', call: 'swap', user: 'user', state: 'flag', notification: 'bell', fault: 'bolt', clock: 'time' };

function entry(e) {
  const open = state.open.has(e.seq);
  const level = grade(e);
  const toggle = () => {
    const next = new Set(state.open);
    if (!next.delete(e.seq)) next.add(e.seq);
    update({ open: next });
  };
  const detail = e.request || e.response || (e.summary && e.summary !== label(e));
  return h('li.entry', { key: e.seq, class: `of-${e.kind} ${level} ${open ? 'open' : ''}`, 'data-seq': e.seq, 'data-kind': e.kind },
    h('span.entry-dot', { 'aria-hidden': 'true' }, icon(GLYPH[e.kind] ?? 'ring')),
    h('button.entry-head', { type: 'button', 'data-row': true, 'aria-expanded': detail ? String(open) : null, on: { click: toggle } },
      h('span.entry-line', {},
        h('b', {}, label(e)),
        e.status ? h('span.status-code', { class: level }, String(e.status))
          : e.method ? h('span.status-code', { class: level }, t(e.kind === 'shop' ? 'timeline.left' : 'timeline.silent')) : null,
        e.code && e.status ? h('span.entry-code', {}, e.code) : null,
        h('span.grow', {}),
        e.ms !== undefined && e.status ? h('span.entry-ms', {}, `${e.ms} ms`) : null,
        h('time', {}, clock(e.at))),
      h('span.entry-sub', {},
        route(e) ? h('span.route', {}, route(e)) : null,
        e.method ? h('code', { title: e.path }, `${e.method} ${e.path.replace(/^https?:\/\/[^/]+/, '')}`) : e.summary && e.summary !== label(e) ? h('span', {}, e.summary) : null)),
    open ? h('div.entry-body', {},
      e.summary && e.method ? h('p.quiet', {}, e.summary) : null,
      exchange(t('timeline.request'), e.request), exchange(t('timeline.response'), e.response),
      !e.request && !e.response && !e.summary ? h('p.quiet', {}, t('timeline.nothing')) : null) : null);
}

function exchange(title, payload) {
  const text = layout(payload);
  if (!text) return null;
  return h('div.exchange', {}, h('h3', {}, title), h('div.block', {}, h('pre', { tabindex: 0 }, text), copyButton(typeof payload === 'string' ? payload : text)));
}

// layout writes a message as it went over the wire, its JSON laid out for reading. The copy button takes it untouched.
function layout(payload) {
  if (typeof payload !== 'string') return payload ? pretty(payload) : '';
  const gap = payload.search(/\r?\n\r?\n/);
  if (gap < 0 || /^\s*[{[<]/.test(payload)) return pretty(payload);
  return `${payload.slice(0, gap)}\n\n${pretty(payload.slice(gap).trim())}`.trim();
}

function grade(e) {
  if (e.kind === 'fault') return 'warn';
  if (e.kind === 'user') return e.name !== 'login' && outcome(e) === 'fail' ? 'bad' : '';
  if (e.status >= 500 || (e.kind === 'notification' && !(e.status >= 200 && e.status < 300))) return 'bad';
  if (e.status >= 400) return 'warn';
  if (e.kind === 'call' && !e.status) return 'bad';
  if (e.kind === 'notification' || e.status >= 200) return 'ok';
  return '';
}

function route(e) {
  return { shop: t('route.shop'), call: t('route.call'), notification: t('route.notification') }[e.kind] ?? '';
}

const NAMES = [
  ['shop', 'POST', /\/login$/, 'shop.login'], ['shop', 'GET', /\/products/, 'shop.products'], ['shop', 'POST', /\/orders$/, 'shop.order'],
  ['shop', 'GET', /\/orders$/, 'shop.orders'], ['shop', 'POST', /\/payment$/, 'shop.sign'], ['shop', 'POST', /\/close$/, 'shop.close'],
  ['shop', 'GET', /\/orders\//, 'shop.ask'], ['shop', 'GET', /\/session$/, 'shop.session'],
  ['call', 'POST', /\/v3\/pay\/transactions\/(jsapi|native|h5|app)$|\/unifiedorder$/, 'call.prepay'],
  ['call', 'POST', /\/close$|\/closeorder$/, 'call.close'], ['call', 'GET', /\/v3\/pay\/transactions\//, 'call.query'],
  ['call', 'POST', /\/orderquery$/, 'call.query'], ['call', 'POST', /\/refunds$|\/refund$/, 'call.refund'],
  ['call', 'GET', /\/refunds\//, 'call.refund_query'], ['call', 'POST', /\/refundquery$/, 'call.refund_query'],
  ['call', 'GET', /\/certificates/, 'call.certificates'], ['call', '', /bill/, 'call.bill'], ['call', 'GET', /jscode2session/, 'call.session'],
];

// label names an entry in the trade's words; what has no name keeps the sandbox's own summary.
function label(e) {
  if (e.kind === 'shop' || e.kind === 'call') {
    const path = (e.path ?? '').replace(/\?.*$/, '');
    const name = NAMES.find(([kind, method, re]) => kind === e.kind && (!method || method === e.method) && re.test(path));
    if (name) return t(name[3]);
  }
  if (e.kind === 'notification') return t(/REFUND/.test(e.summary ?? '') ? 'notification.refund' : 'notification.attempt');
  if (e.kind === 'user') return t('act.' + (e.name === 'login' ? 'login' : outcome(e)));
  if (e.kind === 'state') { // a refund's states have names of their own: that it closes does not close the order
    const key = 'state.' + (e.name ?? '').replace(/^(order|certificates|balance)\./, '');
    if (has(key)) return t(key);
  }
  if (e.kind === 'clock') return t(e.name === 'sandbox.reset' ? 'clock.reset' : 'clock.moved');
  if (e.kind === 'fault') {
    const what = (e.name ?? '').replace(/^fault\./, '');
    return what === 'added' || what === 'removed' ? t('fault.' + what) : t('fault.struck', { fault: has('chip.' + what) ? t('chip.' + what) : what });
  }
  return e.summary || e.name || e.kind;
}

function outcome(e) {
  const said = String(e.response ?? '') + (e.summary ?? '');
  return said.includes('requestPayment:ok') ? 'pay' : said.includes('requestPayment:fail cancel') ? 'cancel' : 'fail';
}

// due is the next attempt of each notification that is still under way, with the button that does not wait for it.
function due(payment) {
  return state.notifications.filter((n) => n.out_trade_no === payment.out_trade_no).map((n) => {
    const call = { method: 'POST', path: `/notifications/${n.id}/resend` };
    const next = n.next_attempt_at ? Date.parse(n.next_attempt_at) : 0;
    const busy = state.busy.has('resend ' + n.id);
    return h('li.entry.due', { key: 'due ' + n.id, class: next ? 'waiting' : 'over', 'data-notification': n.id },
      h('span.entry-dot', { 'aria-hidden': 'true' }, icon(next ? 'time' : 'bell')),
      h('div.due-line', {},
        h('span', {}, next ? [t('due.next', { n: (n.attempts?.length ?? 0) + 1 }), ' ', h('b', { class: 'mono' }, next > now() ? t('due.in', { span: span(next - now()) }) : t('due.now')), h('small.mono', {}, ' ' + clock(next))]
          : t('due.over', { n: n.attempts?.length ?? 0, event: n.event_type })),
        h('button.small', {
          type: 'button', 'data-act': 'resend', disabled: busy, title: tip(call),
          on: { click: () => act('resend ' + n.id, call, t('due.sent')) },
        }, icon('send'), next ? t('due.send') : t('due.again'))));
  });
}

function emptyTimeline() {
  const url = location.origin;
  return h('div.state.first', { 'data-empty': true },
    h('span.state-icon', {}, icon('tap')),
    h('h2', {}, t('empty.title')),
    h('ol.ways', {},
      state.service ? h('li', {}, t('empty.tap')) : null,
      h('li', {}, state.service ? t('empty.own') : t('empty.point'), h('div.command', {}, h('code', {}, url), copyButton(url)))),
    h('p.quiet', {}, t('empty.then')));
}
