// app.js sets the page up: words, frame, keys, and who draws what.

import { h, morph } from './dom.js';
import { icon, mark } from './art.js';
import { every } from './api.js';
import { closeSheet, enter, loadOrders, route } from './buyer.js';
import { controlsView } from './controls.js';
import { isOf } from './format.js';
import { loadWords, remind, t } from './i18n.js';
import { onNews, startLive } from './live.js';
import { phoneView, ribbonView } from './phone.js';
import { onDraw, state, update } from './store.js';
import { timelineView } from './timeline.js';

const narrow = matchMedia('(max-width: 759px)');
const middle = matchMedia('(max-width: 1179px)');
const calm = matchMedia('(prefers-reduced-motion: reduce)');

function page() {
  const drawer = narrow.matches && state.drawer;
  return h('div', { id: 'app', class: drawer ? 'drawer-open' : '', 'data-link': state.link },
    top(drawer),
    h('div.columns', {},
      h('div.left', { inert: drawer }, phoneView(), narrow.matches ? handle() : ribbonView()),
      narrow.matches ? (drawer ? drawerView() : null) : h('div.right', {}, columns())),
    toasts());
}

function top(covered) {
  const themes = { auto: 'auto', light: 'sun', dark: 'moon' };
  return h('header.top', { inert: covered },
    h('span.brand', {}, mark(), h('b', {}, t('brand')), h('span.badge', {}, t('emulator'))),
    h('span.top-text', {}, t('tagline')),
    h('span.grow', {}),
    h('span.link-state', { class: state.link, role: 'status', title: t('link.' + state.link + '_text', { sandbox: location.origin }) },
      h('i.dot', {}), h('span', {}, t('link.' + state.link))),
    h('button.tool', { type: 'button', 'data-act': 'lang', lang: state.lang === 'zh' ? 'en' : 'zh-CN', on: { click: switchLang } }, t('switch_lang')),
    h('button.tool', { type: 'button', 'data-act': 'theme', 'aria-label': t('theme.' + state.theme), title: t('theme.' + state.theme), on: { click: switchTheme } }, icon(themes[state.theme])));
}

const columns = () => (middle.matches ? [tabs(), state.tab === 'controls' ? controlsView() : timelineView()] : [timelineView(), controlsView()]);

function tabs() {
  const tab = (name, glyph, label, count) => h('button', {
    key: name, type: 'button', 'aria-pressed': String(state.tab === name), 'data-tab': name, on: { click: () => update({ tab: name }) },
  }, icon(glyph), label, count ? h('b.count', {}, String(count)) : null);
  return h('div.tablist', { role: 'group', 'aria-label': t('tabs.label') },
    tab('timeline', 'list', t('payments.title'), state.payments.length),
    tab('controls', 'tune', t('controls.title'), state.faults.length));
}

// On a narrow screen the phone is the page, and everything else a drawer under its lower edge.

function handle() {
  return h('button.handle', { type: 'button', 'aria-expanded': String(state.drawer), 'data-act': 'drawer', inert: Boolean(state.sheet), on: { click: () => openDrawer(true) } },
    h('i', { 'aria-hidden': 'true' }), h('span', {}, icon('list'), t('drawer.open'), state.payments.length ? h('b.count', {}, String(state.payments.length)) : null));
}

function drawerView() {
  return h('div.cover.page-cover', { key: 'drawer', on: { click: (e) => { if (e.target === e.currentTarget) openDrawer(false); } } },
    h('div.drawer', { role: 'dialog', 'aria-modal': 'true', 'aria-label': t('drawer.open') },
      h('button.drawer-grip', { type: 'button', 'aria-label': t('close'), 'data-autofocus': true, on: { click: () => openDrawer(false) } }, h('i', { 'aria-hidden': 'true' }), icon('close')),
      tabs(), h('div.drawer-body', {}, ribbonView(), state.tab === 'controls' ? controlsView() : timelineView())));
}

function openDrawer(drawer) { update({ drawer }); }

function toasts() {
  return h('div.toasts', { role: 'status', 'aria-live': 'polite' }, state.toasts.map((item) => h('p.toast', { key: item.id, class: item.kind },
    icon(item.kind === 'ok' ? 'check' : 'alert'), item.text)));
}

async function switchLang() {
  await loadWords(state.lang === 'zh' ? 'en' : 'zh', true);
  update();
}

function switchTheme() {
  const theme = { auto: 'light', light: 'dark', dark: 'auto' }[state.theme];
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  remind('fenhao_theme', theme === 'auto' ? '' : theme);
  update({ theme });
}

// Focus goes into a sheet when it opens and back to where it came from when it closes.

let layer = '';
let origin = null;

function moveFocus() {
  const now = state.drawer && narrow.matches ? 'drawer' : state.sheet ? 'sheet ' + state.sheet.kind : '';
  if (now === layer) return;
  const was = layer;
  layer = now;
  if (now) {
    if (!was) origin = document.activeElement;
    const first = document.querySelector(now === 'drawer' ? '.drawer [data-autofocus]' : '.sheet [data-autofocus]');
    first?.focus({ preventScroll: true });
  } else {
    const back = origin?.isConnected && origin !== document.body ? origin : document.querySelector('.result-acts button, .screen .tab');
    back?.focus({ preventScroll: true });
    origin = null;
  }
}

// What opens under the phone is brought into sight.
let ribbon = false;

function showRibbon() {
  if (state.ribbon && !ribbon) document.querySelector('.ribbon.open')?.scrollIntoView({ block: 'end', behavior: calm.matches ? 'auto' : 'smooth' });
  ribbon = state.ribbon;
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Escape') {
    if (state.sheet) closeSheet();
    else if (state.drawer) openDrawer(false);
    else if (state.confirming) update({ confirming: null });
    else return;
    event.preventDefault();
    return;
  }
  if (state.sheet || event.target.closest?.('input, textarea, select')) return;
  const step = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const here = document.activeElement?.closest?.('[data-list]');
  if (!here && event.key.startsWith('Arrow')) return;
  const list = here ?? document.querySelector('.timeline[data-list]') ?? document.querySelector('[data-list]');
  const rows = [...(list?.querySelectorAll('[data-row]') ?? [])];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step));
  rows[next].focus();
  rows[next].scrollIntoView({ block: 'nearest' });
  event.preventDefault();
}

// The newest step stays in sight while the reader is at the end of the timeline.
function keepEnd(list, draw) {
  const box = list();
  const atEnd = box && box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const name = box?.dataset.of;
  const rows = box?.childElementCount;
  draw();
  const then = list();
  if (then && (then.dataset.of !== name || (atEnd && then.childElementCount !== rows))) then.scrollTop = then.scrollHeight;
}

// What WeChat learns of an order of this user, the shop will soon know: the list is read again.
let soon = 0;

function refreshOrders(entries) {
  const mine = (e) => ['state', 'notification'].includes(e.kind) && state.orders.list.some((o) => o.status === 'pending' && isOf(o, e.out_trade_no));
  if (!entries.some(mine)) return;
  clearTimeout(soon);
  soon = setTimeout(loadOrders, 400);
}

async function findApps() {
  const merchants = await every('/merchants');
  const apps = merchants.flatMap((m) => (m.apps ?? []).map((a) => ({ id: a.id, merchant_id: m.id })));
  update({ apps, app: apps.some((a) => a.id === state.app) ? state.app : apps[0]?.id ?? '' });
}

async function main() {
  await loadWords(state.lang, false);
  let root = document.getElementById('app');
  onDraw(() => {
    keepEnd(() => document.querySelector('.timeline'), () => { root = morph(root, page()); });
    moveFocus();
    showRibbon();
  });
  narrow.addEventListener('change', () => update());
  middle.addEventListener('change', () => update());
  document.addEventListener('keydown', keys);
  window.addEventListener('popstate', route);
  onNews(refreshOrders);
  setInterval(() => update(), 1000); // clocks and countdowns
  update();
  startLive();
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    try { await findApps(); break; } catch { await new Promise((done) => setTimeout(done, wait)); }
  }
  await enter(false);
  route();
}

main();
