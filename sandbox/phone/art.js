// art.js holds the drawings: icons, and a picture for goods that have none. All of them are our own.

import { s } from './dom.js';

const ICONS = {
  shop: 'M4 9.5 5.6 4h12.8L20 9.5M4 9.5a2.7 2.7 0 0 0 5.3 0 2.7 2.7 0 0 0 5.4 0 2.7 2.7 0 0 0 5.3 0M5.5 12.5V20h13v-7.5M10 20v-4.5h4V20',
  orders: 'M6 3.5h12v17l-2.4-1.6L13.2 20.5 12 19.6l-1.2.9-2.4-1.6L6 20.5zM9 8.5h6M9 12.5h6',
  user: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c.8-3.8 3.8-5.5 7.5-5.5s6.7 1.7 7.5 5.5',
  back: 'M14.5 5.5 8 12l6.5 6.5',
  close: 'M6 6l12 12M18 6 6 18',
  check: 'M5 12.5l4.7 4.7L19 7.5',
  alert: 'M12 7.5v5.5M12 16.4v.1',
  pause: 'M9.5 8v8M14.5 8v8',
  plus: 'M12 6v12M6 12h12',
  minus: 'M6 12h12',
  more: 'M6 12h.01M12 12h.01M18 12h.01',
  ring: 'M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z',
  bell: 'M6.5 16.5V11a5.5 5.5 0 0 1 11 0v5.5l1.5 1.5h-14zM10.3 20.5h3.4',
  send: 'M4 12 20 4.5 15 20l-3.5-6.5zM11.5 13.5 20 4.5',
  swap: 'M4 8.5h14M14.5 5 18 8.5 14.5 12M20 15.5H6M9.5 12 6 15.5 9.5 19',
  tap: 'M9.5 13V5.8a1.7 1.7 0 0 1 3.4 0V11l4 .9c1.3.3 2.1 1.4 1.9 2.7l-.6 3.2c-.3 1.6-1.5 2.7-3.1 2.7h-2c-1 0-2-.5-2.6-1.3L7 14.8c-.8-1.3.8-2.7 1.9-1.7z',
  bolt: 'M13 3.5 6 13.5h5l-1 7 7-10h-5z',
  time: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4.3l2.8 1.7',
  flag: 'M7 21V4.5M7 5h10.5l-2 3.7 2 3.8H7',
  chevron: 'M9 6.5 14.5 12 9 17.5',
  copy: 'M9 9h10v11H9zM6 15.5H5V4h10v1.5',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.8v2M12 19.2v2M2.8 12h2M19.2 12h2M5.5 5.5l1.4 1.4M17.1 17.1l1.4 1.4M18.5 5.5l-1.4 1.4M6.9 17.1l-1.4 1.4',
  moon: 'M19.5 14.2A8 8 0 0 1 9.8 4.5a8 8 0 1 0 9.7 9.7z',
  auto: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 4v16M12 7.5h4.8M12 12h8M12 16.5h4.8',
  plug: 'M8.5 3.5v4M15.5 3.5v4M6 7.5h12v3.5a6 6 0 0 1-12 0zM12 17v3.5',
  box: 'M4 8l8-4.5L20 8v8.5L12 21l-8-4.5zM4 8l8 4.5L20 8M12 12.5V21',
  list: 'M5 7h14M5 12h14M5 17h9',
  tune: 'M4 8h9M17 8h3M4 16h3M11 16h9M15 5.8v4.4M9 13.8v4.4',
};

/** icon draws a named icon in the colour of the text around it; it is silent to a screen reader. */
export function icon(name, cls = '') {
  return s('svg', { viewBox: '0 0 24 24', class: `icon ${cls}`, 'aria-hidden': 'true', focusable: 'false' },
    s('path', { d: ICONS[name] }));
}

/** mark is the product's own sign: the semicolon (分号) in a rounded square. */
export function mark() {
  return s('svg', { viewBox: '0 0 32 32', class: 'mark', 'aria-hidden': 'true', focusable: 'false' },
    s('rect', { width: 32, height: 32, rx: 9, class: 'mark-ground' }),
    s('circle', { cx: 16, cy: 11, r: 3.2, class: 'mark-ink' }),
    s('path', { d: 'M16 17.8a3.2 3.2 0 0 1 3.2 3.2c0 2.7-1.9 4.6-4.5 5.3l-.7-1.5c1.2-.5 2-1.2 2.2-2.1a3.2 3.2 0 0 1-.2-4.9z', class: 'mark-ink' }));
}

// Grounds from light to deep, and the ink drawn on them.
const INKS = [
  ['#fde7cf', '#f6b889', '#8a4b1f'], ['#dff3e4', '#9fd8b4', '#1f6b45'], ['#e3ecfb', '#a9c4f2', '#2a4f95'],
  ['#fbe4e8', '#f0a9b8', '#8f2f4b'], ['#efe6fa', '#c7aeea', '#5a3a94'], ['#fbf1c9', '#ecd06f', '#765a08'],
  ['#dcf2f4', '#93d3d9', '#17626b'], ['#ece9e4', '#c6bdae', '#57493a'],
];

// What a name may speak of, and its drawing on a field of 64.
const GOODS = [
  [/咖啡|拿铁|美式|摩卡|卡布|手冲|coffee|latte|espresso|mocha|pour-over/i,
    'M19 24h24v15a9 9 0 0 1-9 9h-6a9 9 0 0 1-9-9zM43 28h3.5a5 5 0 0 1 0 10H43M26 12c-2.5 2.5 2.5 4 0 7M34 12c-2.5 2.5 2.5 4 0 7'],
  [/茶|\btea\b|奶盖|matcha|抹茶/i,
    'M20 22h24l-3 26H23zM18 22h28M31 22l4-11 5-1M22 32h20'],
  [/杯|马克|\bmug|\bcup|tumbler/i,
    'M18 18h24v24a6 6 0 0 1-6 6H24a6 6 0 0 1-6-6zM42 24h4a5 5 0 0 1 5 5v4a5 5 0 0 1-5 5h-4'],
  [/面包|蛋糕|吐司|曲奇|饼|贝果|可颂|bread|cake|toast|cookie|croissant|bagel/i,
    'M14 29c0-7 8-11 18-11s18 4 18 11c0 3-2 5-4 5v12a3 3 0 0 1-3 3H21a3 3 0 0 1-3-3V34c-2 0-4-2-4-5zM27 27l-2 4M35 27l-2 4'],
  [/包|袋|\bbags?\b|tote/i,
    'M16 26h32l-3 24H19zM24 30v-8a8 8 0 0 1 16 0v8'],
  [/书|笔记|本子|手册|book|journal/i,
    'M32 20c-4-3-9-4-16-4v28c7 0 12 1 16 4 4-3 9-4 16-4V16c-7 0-12 1-16 4zM32 20v28'],
  [/衫|衣|T恤|shirt|hoodie|tee\b/i,
    'M24 14 12 20l4 10 5-2v22h22V28l5 2 4-10-12-6c-1 4-4 6-8 6s-7-2-8-6z'],
  [/贴|徽|sticker|badge|\bpins?\b/i,
    'M32 13a19 19 0 1 0 19 19c-9 2-21-8-19-19zM25 31v.1M38 38v.1M26 40c3 3 7 4 11 2'],
  [/花|草|植|flower|plant|leaf|succulent/i,
    'M32 50V30M32 36c-9 1-14-4-15-13 9-1 14 4 15 13zM32 31c0-9 5-14 15-15 1 9-5 14-15 15zM22 50h20'],
  [/果|莓|桃|橙|apple|fruit|peach|berry|orange|juice|汁/i,
    'M32 22c-7-5-17-1-17 10 0 9 7 18 12 18 2 0 3-1 5-1s3 1 5 1c5 0 12-9 12-18 0-11-10-15-17-10zM32 22c0-5 2-9 7-10'],
  [/会员|卡|券|card|coupon|member|gift|礼/i,
    'M14 20h36v24H14zM14 28h36M20 37h8'],
  [/一分|分钱|one.fen|coin|充值/i,
    'M32 14a18 18 0 1 0 0 36 18 18 0 0 0 0-36zM26 24l6 8 6-8M32 32v10M26 33h12M26 38h12'],
];
const SHAPES = [
  'M32 14 49 24v16L32 50 15 40V24zM15 24l17 10 17-10M32 34v16',
  'M32 13a19 19 0 1 0 0 38 19 19 0 0 0 0-38zM13 32h38M32 13c8 8 8 30 0 38M32 13c-8 8-8 30 0 38',
  'M32 13l5.5 12.5L51 27l-10 9 3 13.5L32 42.5 20 49.5 23 36l-10-9 13.5-1.5z',
  'M18 18h28v28H18zM18 18l28 28M46 18 18 46',
];

function hash(text) {
  let n = 2166136261;
  for (let i = 0; i < text.length; i++) n = Math.imul(n ^ text.charCodeAt(i), 16777619) >>> 0;
  return n;
}

const taken = new Map(); // goods → the number of their ink

// inkOf picks by the id, and beside goods that have that ink already the next free one.
function inkOf(product, n) {
  if (!taken.has(product.id)) {
    let i = n % INKS.length;
    if (taken.size < INKS.length) while ([...taken.values()].includes(i)) i = (i + 1) % INKS.length;
    taken.set(product.id, i);
  }
  return INKS[taken.get(product.id)];
}

/** picture draws goods from their name. A wide one has room at its sides. */
export function picture(product, wide = false) {
  const n = hash(product.id + product.name);
  const [light, deep, ink] = inkOf(product, n);
  const line = GOODS.find(([word]) => word.test(product.name))?.[1] ?? SHAPES[(n >>> 8) % SHAPES.length];
  const id = `ground${n}`;
  return s('svg', { viewBox: wide ? '-24 0 112 64' : '0 0 64 64', class: 'picture', 'aria-hidden': 'true', focusable: 'false', preserveAspectRatio: 'xMidYMid slice' },
    s('defs', {}, s('linearGradient', { id, x1: 0, y1: 0, x2: 1, y2: 1 },
      s('stop', { offset: 0, 'stop-color': light }), s('stop', { offset: 1, 'stop-color': deep }))),
    s('rect', { x: -24, width: 112, height: 64, fill: `url(#${id})` }),
    s('circle', { cx: 12 + (n >>> 4) % 40, cy: 8 + (n >>> 12) % 16, r: 18, fill: '#fff', opacity: 0.32 }),
    s('path', { d: line, fill: '#fff', 'fill-opacity': 0.55, stroke: ink, 'stroke-width': 2.4, 'stroke-linecap': 'round', 'stroke-linejoin': 'round' }));
}
