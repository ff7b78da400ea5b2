// @ts-check
/** Which of the scored images to show: by verdict, by name, and by score (the brush). */
import { h } from '../dom.js';
import { agreement } from '../words.js';

/** @typedef {import('./gallery.js').Entry} Entry */

/** @type {{ value: string, text: string, wants: (entry: Entry) => boolean, always?: boolean }[]} */
const KINDS = [
  { value: 'all', text: 'All', wants: () => true, always: true },
  { value: 'out', text: 'Out', wants: ({ result }) => result?.verdict === 'out', always: true },
  { value: 'in', text: 'In', wants: ({ result }) => result?.verdict === 'in', always: true },
  { value: 'split', text: 'Detectors disagree', wants: ({ split }) => split },
  { value: 'error', text: 'Unreadable', wants: ({ error }) => Boolean(error) },
];

/** Whether coverage and a baseline disagree. @param {import('../../wasm/js/result.js').Result} result */
export const isSplit = (result) => agreement(result).tone === 'split';

export class Filters {
  #kind = KINDS[0];
  #name = '';
  /** @type {[number, number] | null} */
  window = null;

  /** @param {() => void} onChange */
  constructor(onChange) {
    const choice = (/** @type {typeof KINDS[0]} */ kind) =>
      h('label', null, h('input', { type: 'radio', name: 'filter', value: kind.value, checked: kind === this.#kind, change: () => { this.#kind = kind; onChange(); } }), h('span', null, kind.text, ' ', h('b', { 'data-count': kind.value }, '')));
    const search = h('input', { type: 'search', placeholder: 'Name or label', 'aria-label': 'Show only names or labels that contain', input: () => { this.#name = search.value.trim().toLowerCase(); onChange(); } });
    this.element = h('div', { class: 'row start' },
      h('fieldset', { class: 'segments' }, h('legend', { class: 'visually-hidden' }, 'Which images to show'), KINDS.map(choice)), search);
  }

  /** @param {Entry[]} entries */
  count(entries) {
    for (const { value, wants, always } of KINDS) {
      const label = this.element.querySelector(`[data-count="${value}"]`);
      const count = entries.reduce((sum, entry) => sum + (wants(entry) ? 1 : 0), 0);
      label.textContent = count.toLocaleString('en');
      if (!always) label.closest('label').hidden = count === 0;
    }
  }

  /** @param {Entry} entry */
  wants(entry) {
    if (!this.#kind.wants(entry)) return false;
    const { picture, result } = entry;
    if (this.#name && !picture.name.toLowerCase().includes(this.#name) && !result?.label.toLowerCase().includes(this.#name)) return false;
    if (!this.window) return true;
    return result !== undefined && result.score >= this.window[0] && result.score <= this.window[1];
  }
}
