// dom.js builds elements and brings the page to the state of a freshly built tree with the fewest changes, so that
// focus, scroll and running animations survive a redraw.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * h builds an element. tag may carry classes ("button.primary"). props: `key` names the element among its siblings,
 * `on` holds handlers, `style` CSS properties (set through the CSSOM: the page's policy forbids style attributes),
 * `value` the property; the rest become attributes, where true means present and false or null absent.
 */
export function h(tag, props, ...kids) {
  const [name, ...classes] = tag.split('.');
  return fill(document.createElement(name), classes, props, kids);
}

/** s is h for SVG. */
export function s(tag, props, ...kids) {
  const [name, ...classes] = tag.split('.');
  return fill(document.createElementNS(SVG, name), classes, props, kids);
}

function fill(el, classes, props, kids) {
  for (const [k, v] of Object.entries(props ?? {})) {
    if (v === null || v === undefined || v === false) continue;
    if (k === 'key') el.fhKey = v;
    else if (k === 'class') classes.push(...String(v).split(' ').filter(Boolean));
    else if (k === 'on') listen(el, v);
    else if (k === 'style') for (const [p, x] of Object.entries(v)) el.style.setProperty(p, x);
    else if (k === 'value') { el.value = v; el.fhValue = v; }
    else el.setAttribute(k, v === true ? '' : v);
  }
  if (classes.length) el.setAttribute('class', classes.join(' '));
  append(el, kids);
  return el;
}

function append(el, kids) {
  for (const kid of kids) {
    if (kid === null || kid === undefined || kid === false) continue;
    if (Array.isArray(kid)) append(el, kid);
    else el.append(kid);
  }
}

function listen(el, handlers) {
  for (const name of Object.keys(el.fhOn ?? {})) if (!handlers?.[name]) el['on' + name] = null;
  for (const [name, fn] of Object.entries(handlers ?? {})) el['on' + name] = fn;
  el.fhOn = handlers;
}

const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.fhKey === b.fhKey;

/** morph turns a into b, in place where they are alike, and returns the element that is now in the page. */
export function morph(a, b) {
  if (!alike(a, b)) { a.replaceWith(b); return b; }
  if (a.nodeType !== Node.ELEMENT_NODE) {
    if (a.data !== b.data) a.data = b.data;
    return a;
  }
  for (const { name, value } of b.attributes) {
    if (name !== 'style' && a.getAttribute(name) !== value) a.setAttribute(name, value);
  }
  for (const { name } of [...a.attributes]) if (name !== 'style' && !b.hasAttribute(name)) a.removeAttribute(name);
  if (a.style.cssText !== b.style.cssText) a.style.cssText = b.style.cssText;
  if (a.fhOn || b.fhOn) listen(a, b.fhOn);
  children(a, b);
  if ('fhValue' in b && a.value !== b.fhValue && a !== document.activeElement) a.value = b.fhValue;
  return a;
}

function children(a, b) {
  const keyed = new Map();
  for (const kid of a.childNodes) if (kid.fhKey !== undefined) keyed.set(kid.fhKey, kid);
  let cur = a.firstChild;
  for (const want of [...b.childNodes]) {
    const have = want.fhKey !== undefined ? keyed.get(want.fhKey) : cur && alike(cur, want) ? cur : undefined;
    if (!have || !alike(have, want)) { a.insertBefore(want, cur); continue; }
    if (have === cur) cur = cur.nextSibling;
    else a.insertBefore(have, cur);
    morph(have, want);
  }
  while (cur) { const next = cur.nextSibling; cur.remove(); cur = next; }
}
