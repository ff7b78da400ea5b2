// @ts-check
/** Coverage and the baselines side by side, each against its own threshold, and what the network says. */
import { bar } from '../charts/bar.js';
import { h } from '../dom.js';
import { METHODS, agreement, percent } from '../words.js';

/** @typedef {import('../../wasm/js/result.js').Result} Result */

/** @param {Result} result */
export function opinions(result) {
  const { baselines, baselineThresholds, score, threshold } = result;
  const row = (/** @type {string} */ title, /** @type {string} */ what, /** @type {number} */ value, /** @type {number | null} */ limit) => {
    const opinion = limit === null ? null : value < limit ? 'out' : 'in';
    return h('tr', { 'data-verdict': opinion },
      h('th', { scope: 'row' }, title, h('span', { class: 'hint' }, what)),
      h('td', { class: 'number' }, value.toFixed(3)), h('td', { class: 'number soft' }, limit === null ? '–' : limit.toFixed(3)),
      h('td', { class: 'opinion' }, opinion ?? '–'));
  };
  const { tone, text } = agreement(result);
  return h('article', { class: 'card opinions', 'data-agreement': tone },
    h('h3', null, 'Do the detectors agree?'),
    h('table', null,
      h('thead', null, h('tr', null, h('th', { scope: 'col' }, h('span', { class: 'visually-hidden' }, 'Detector')), ['Score', 'Threshold', 'Says'].map((title) => h('th', { scope: 'col' }, title)))),
      h('tbody', null,
        row(METHODS[0].title, METHODS[0].what, score, threshold),
        METHODS.slice(1).map(({ key, title, what }) => row(title, what, baselines[/** @type {'msp'} */ (key)], baselineThresholds?.[/** @type {'msp'} */ (key)] ?? null)))),
    h('p', { class: tone === 'split' ? 'flag' : 'hint' }, text));
}

/** @param {Result} result */
export function predictions({ top }) {
  return h('article', { class: 'card' }, h('h3', null, 'What the network says'),
    h('ol', { class: 'bars' }, top.map(({ label, probability }) =>
      h('li', null, h('span', null, label), bar(probability), h('span', { class: 'number' }, percent(probability))))),
    h('p', { class: 'hint' }, 'It can only choose among its own labels, whatever it is shown.'));
}
