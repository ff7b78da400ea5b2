// @ts-check
/** What went wrong, in the place where a result would be. */
import { h } from '../dom.js';
import { explainError } from '../words.js';

/**
 * @param {any} error
 * @param {{ file?: string, subject?: import('../words.js').Subject, retry?: { text: string, act: () => void } }} about
 */
export function errorCard(error, { file, subject, retry }) {
  const { title, text, hint, mark } = explainError(error, subject);
  return h('article', { class: 'card error', role: 'alert', 'data-code': error?.code ?? '' },
    h('div', { class: 'error-mark', 'aria-hidden': 'true' }, mark),
    h('div', null,
      file && h('p', { class: 'file' }, file),
      h('h2', null, title), h('p', { class: 'lead' }, hint),
      h('p', { class: 'hint' }, text),
      retry && h('p', null, h('button', { type: 'button', class: 'primary', click: retry.act }, retry.text))));
}
