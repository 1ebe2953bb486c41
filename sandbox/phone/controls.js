// controls.js draws what the tester may do to the sandbox. Each control is one call of the control API, and shows it.

import { h } from './dom.js';
import { icon } from './art.js';
import { clock, day, now } from './format.js';
import { t } from './i18n.js';
import { control } from './api.js';
import { enter } from './buyer.js';
import { readClock, readFaults, refresh, reload } from './live.js';
import { copy } from './parts.js';
import { afterDraw, state, toast, update } from './store.js';
import { userName } from './phone.js';

/** tip is the call of a control, as text: method, path, body. */
export function tip({ method, path, body }) {
  return `${method} /sandbox/v1${path}${body ? ' ' + JSON.stringify(body) : ''}`;
}

function curl({ method, path, body }) {
  return `curl -X ${method} ${location.origin}/sandbox/v1${path}`
    + (body ? ` -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'` : '');
}

/** act sends the call of a control once, whatever the tapping, and says how it went. */
export async function act(name, call, done, then) {
  if (state.busy.has(name)) return;
  const mark = (on) => {
    const busy = new Set(state.busy);
    if (on) busy.add(name); else busy.delete(name);
    update({ busy, hint: call });
  };
  mark(true);
  try {
    await control(call.method, call.path, call.body);
    await then?.();
    if (done) toast(done);
    refresh().catch(() => {});
  } catch (error) {
    toast(t('controls.failed', { why: error.message }), 'bad');
  } finally {
    mark(false);
  }
}

// shows lets a control put its call on the strip under the column, by mouse and by keyboard alike.
const shows = (call) => {
  const show = () => { if (state.hint !== call) update({ hint: call }); };
  return { mouseenter: show, focus: show };
};

const NOTIFY = [
  { kind: 'drop' }, { kind: 'duplicate' }, { kind: 'delay', delay: '10s' }, { kind: 'bad_signature' }, { kind: 'signtest' },
  { kind: 'wrong_amount' },
].map((f) => ({ on: 'notify.payment', count: 1, ...f }));

// The platform's faults strike the API that the shop uses: v3, unless its payments say v2.
const platform = () => {
  const on = `${state.payments[0]?.api === 'v2' ? 'v2' : 'v3'}.prepay`;
  return [
    { on, kind: 'lose_response', count: 1 },
    { on, kind: 'error', status: 500, code: 'SYSTEM_ERROR', count: 1 },
  ];
};

const FORWARD = ['15s', '5m', '2h'];

/** controlsView draws the column of controls. */
export function controlsView() {
  const calls = state.hint;
  return h('section.controls-column', { key: 'controls', 'aria-label': t('controls.label') },
    group('user', t('controls.user'), users()),
    group('notify', t('controls.notify'), chips(NOTIFY), t('controls.notify_text')),
    group('platform', t('controls.platform'), chips(platform())),
    group('clock', t('controls.clock'), clockBox()),
    group('reset', t('controls.reset'), resetBox()),
    h('div.strip', {},
      h('div.strip-head', {}, h('span', {}, t('controls.call')),
        calls ? h('button.link', { type: 'button', on: { click: () => copy(curl(calls)) } }, icon('copy'), 'curl') : null),
      h('code', {}, calls ? tip(calls) : t('controls.call_none'))));
}

function group(name, title, body, text) {
  return h('fieldset', { class: 'group', 'data-group': name }, h('legend', {}, title), text ? h('p.quiet', {}, text) : null, body);
}

function users() {
  const choose = (user) => {
    if (user === state.user) return;
    update({ user, users: state.users.includes(user) ? state.users : [...state.users, user], drawer: false });
    try { sessionStorage.setItem('fenhao_user', user); } catch { /* private browsing: forgotten on reload */ }
    toast(t('controls.switched', { name: userName(user) }));
    enter();
  };
  const login = (user) => ({ method: 'POST', path: '/login', body: { app_id: state.app, user } });
  return [
    h('div.segments', { role: 'group', 'aria-label': t('controls.user') }, state.users.map((user) => h('button', {
      key: user, type: 'button', 'aria-pressed': String(user === state.user), 'data-user': user, title: tip(login(user)),
      on: { click: () => choose(user), ...shows(login(user)) },
    }, userName(user)))),
    h('form.inline', {
      on: {
        submit: (e) => {
          e.preventDefault();
          const field = e.target.elements.name;
          const name = field.value.trim();
          if (name) { field.value = ''; choose(name); }
        },
      },
    }, h('input', { name: 'name', maxlength: 32, autocomplete: 'off', 'aria-label': t('controls.other'), placeholder: t('controls.other') }),
    h('button.small', { type: 'submit', 'aria-label': t('controls.take') }, icon('plus'))),
    state.apps.length > 1 ? h('label.select', {}, h('span', {}, t('controls.app')),
      h('select', { value: state.app, on: { change: (e) => { update({ app: e.target.value }); enter(); } } },
        state.apps.map((a) => h('option', { value: a.id, selected: a.id === state.app }, `${a.id} · ${a.merchant_id}`)))) : null,
  ];
}

function chips(faults) {
  return h('div.chips', {}, faults.map((fault) => {
    const armed = state.faults.find((f) => f.on === fault.on && f.kind === fault.kind);
    const call = armed ? { method: 'DELETE', path: `/faults/${armed.id}` } : { method: 'POST', path: '/faults', body: fault };
    const name = `fault ${fault.on} ${fault.kind}`;
    const key = fault.kind + (fault.on === 'notify.payment' ? '' : '_' + fault.on.split('.')[1]);
    return h('button.chip', {
      key, type: 'button', 'aria-pressed': String(Boolean(armed)), 'data-fault': key, disabled: state.busy.has(name), title: `${t('chip_text.' + key)}\n${tip(call)}`,
      on: { click: () => act(name, call, null, readFaults), ...shows(call) },
    }, armed ? icon('bolt') : null, t('chip.' + key), armed ? icon('close') : null);
  }));
}

function clockBox() {
  const time = state.clock === null ? '' : clock(now());
  return h('div.clock', {},
    h('p.clock-now', {}, h('b.mono', {}, time), h('small.mono', {}, state.clock === null ? '' : day(now()))),
    h('div.segments', {}, FORWARD.map((advance) => {
      const call = { method: 'POST', path: '/clock', body: { advance } };
      const name = 'clock ' + advance;
      return h('button', {
        key: advance, type: 'button', 'data-advance': advance, disabled: state.busy.has(name), title: tip(call),
        on: { click: () => act(name, call, t('clock.done', { by: advance }), readClock), ...shows(call) },
      }, '+' + advance);
    })));
}

function resetBox() {
  const call = { method: 'POST', path: '/reset' };
  const n = state.payments.length;
  const many = n > 20;
  const sure = state.confirming === 'reset';
  const run = () => act('reset', call, t('reset.done'), async () => {
    update({ confirming: null, open: new Set(), follow: true, selected: null });
    await reload();
    enter();
  });
  const ask = () => {
    if (sure || n === 0) return run();
    update({ confirming: 'reset' });
    afterDraw(() => document.querySelector('[data-confirm] input, [data-act=reset]')?.focus());
    if (!many) setTimeout(() => state.confirming === 'reset' && update({ confirming: null }), 5000);
    return undefined;
  };
  if (many && sure) {
    const word = t('reset.word');
    return h('form.inline', {
      'data-confirm': true,
      on: {
        submit: (e) => { e.preventDefault(); if (e.target.elements.word.value.trim() === word) run(); },
        keydown: (e) => { if (e.key === 'Escape') { e.stopPropagation(); update({ confirming: null }); } },
      },
    }, h('label', {}, t('reset.type', { word, n }), h('input', { name: 'word', autocomplete: 'off' })),
    h('button.small.bad', { type: 'submit' }, t('reset.go')));
  }
  return h('button.small', {
    class: sure ? 'bad' : '', type: 'button', 'data-act': 'reset', disabled: state.busy.has('reset'), title: tip(call), on: { click: ask, ...shows(call) },
  }, sure ? t('reset.sure', { n }) : t('reset.ask'));
}

