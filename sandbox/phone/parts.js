// parts.js has the small pieces that several columns use.

import { h } from './dom.js';
import { icon } from './art.js';
import { t } from './i18n.js';
import { toast } from './store.js';

/** copy puts text on the clipboard and says so. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure context (a phone on the local network) only the old way is left.
    const area = h('textarea', { class: 'offstage' });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  toast(t('copied'));
}

/** copyButton copies text. */
export function copyButton(text) {
  return h('button.copy', {
    type: 'button', 'aria-label': t('copy'), title: t('copy'),
    on: { click: (e) => { e.stopPropagation(); copy(text); } },
  }, icon('copy'));
}
