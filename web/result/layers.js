// @ts-check
/** Coverage of every layer, and of every neuron in it. */
import { bar } from '../charts/bar.js';
import { coverageStrip } from '../charts/strip.js';
import { h } from '../dom.js';

/** @typedef {import('../../wasm/js/result.js').Result} Result */

const BARE = 0.05;

/** @param {Result} result with explanation */
export function layers(result) {
  const { layers: explained } = /** @type {NonNullable<Result['explanation']>} */ (result.explanation);
  return h('article', { class: 'card layers' },
    h('h3', null, 'Coverage by layer'),
    result.layers.map(({ name, neurons, score }, i) => {
      const { coverage } = explained[i];
      const bare = coverage.reduce((count, value) => count + (value < BARE ? 1 : 0), 0);
      return h('section', { class: 'layer', 'data-layer': i },
        h('div', { class: 'layer-head' },
          h('span', { class: 'layer-name' }, name), h('span', { class: 'hint' }, `${neurons} neurons, ${bare} uncovered`),
          h('span', { class: 'number' }, score.toFixed(3))),
        bar(score, `Coverage of ${name}`),
        coverageStrip(coverage, `${bare} of ${neurons} neurons of ${name} are in states that are covered less than 5 %`));
    }),
    h('p', { class: 'hint legend' }, 'The score is their mean. Below each bar one cell a neuron: ', h('span', { class: 'scale', 'aria-hidden': 'true' }), ' never in this state → often'));
}
