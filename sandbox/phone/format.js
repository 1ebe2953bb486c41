// format.js prints money, times and payloads.

import { state } from './store.js';

/** yuan prints fen by integers alone: 123456 is "1,234.56". */
export function yuan(fen) {
  const n = Math.abs(fen);
  const cents = n % 100;
  const whole = String((n - cents) / 100).replace(/\B(?=(\d{3})+$)/g, ',');
  return `${fen < 0 ? '-' : ''}${whole}.${cents < 10 ? '0' : ''}${cents}`;
}

const clockFormat = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'Asia/Shanghai', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
});
const dayFormat = new Intl.DateTimeFormat('en-CA', { timeZone: 'Asia/Shanghai', dateStyle: 'short' });

/** clock prints the time of day in Beijing, with seconds. */
export const clock = (time) => clockFormat.format(new Date(time));

/** day prints the date in Beijing: 2026-11-20. */
export const day = (time) => dayFormat.format(new Date(time));

/** now is the sandbox's time in milliseconds. */
export const now = () => Date.now() + (state.clock ?? 0);

/** span prints a length of time: 12s, 3m 05s, 2h 04m. */
export function span(ms) {
  const sec = Math.max(0, Math.ceil(ms / 1000));
  const two = (n) => String(n).padStart(2, '0');
  if (sec < 60) return `${sec}s`;
  if (sec < 3600) return `${Math.trunc(sec / 60)}m ${two(sec % 60)}s`;
  return `${Math.trunc(sec / 3600)}h ${two(Math.trunc((sec % 3600) / 60))}m`;
}

/** pretty lays out JSON for reading; anything else stays as it came. */
export function pretty(payload) {
  if (payload === null || payload === undefined) return '';
  if (typeof payload !== 'string') return JSON.stringify(payload, null, 2);
  const text = payload.trim();
  if (!/^[{[]/.test(text)) return payload;
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return payload; }
}

/** tail shortens an id to its end. */
export const tail = (id, n = 10) => (id.length > n + 1 ? '…' + id.slice(-n) : id);

/** isOf tells whether WeChat knows an order, or an attempt to pay it, under number. */
export const isOf = (order, number) => Boolean(number)
  && (order.out_trade_no === number || (order.attempts ?? []).some((a) => a.out_trade_no === number));
