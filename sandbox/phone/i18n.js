// i18n.js finds the words of the page in the catalog of the chosen language.

import { state } from './store.js';

let words = {};

/** loadWords fetches the catalog of a language and remembers the choice where the server looks for it. */
export async function loadWords(lang, remember) {
  const res = await fetch(new URL(`./${lang}.json`, import.meta.url));
  if (!res.ok) throw new Error(`catalog ${lang}: ${res.status}`);
  words = await res.json();
  state.lang = lang;
  document.documentElement.lang = lang === 'zh' ? 'zh-CN' : 'en';
  document.title = t('title');
  if (remember) remind('fenhao_lang', lang);
}

/** t gives the words of key, with {name} replaced from vars. A key without words shows itself. */
export function t(key, vars) {
  const text = words[key] ?? key;
  return vars ? text.replace(/\{(\w+)\}/g, (all, name) => vars[name] ?? all) : text;
}

/** has tells whether the catalog knows key: for names made from what a server says. */
export const has = (key) => key in words;

/** remind keeps a choice in a cookie for a year; an empty value forgets it. */
export function remind(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=${value ? 31536000 : 0}; samesite=lax`;
}
