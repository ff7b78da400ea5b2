// @ts-check
/** The least covered neurons of a layer: how often in-distribution images put each into which state, and where this image fell. */
import { neuronHistogram } from '../charts/neuron.js';
import { h, replace } from '../dom.js';
import { percent } from '../words.js';

/** @typedef {import('../../wasm/js/result.js').Result} Result */
/** @typedef {import('../../wasm/js/index.js').Detector} Detector */

/**
 * @param {Result} result with explanation
 * @param {Detector} detector
 */
export function neurons(result, detector) {
  const { layers } = /** @type {NonNullable<Result['explanation']>} */ (result.explanation);
  const grid = h('div', { class: 'neurons' });
  const show = async (/** @type {number} */ layer) => {
    const { O, M } = detector.info.profile.layers[layer];
    const list = layers[layer].neurons;
    const { edges, counts } = await detector.histograms(layer, list.map(({ neuron }) => neuron));
    if (!grid.isConnected || Number(grid.dataset.layer) !== layer) return;
    replace(grid, list.map((neuron, i) => h('figure', { class: 'neuron' },
      h('figcaption', null, h('b', null, `#${neuron.neuron}`), h('span', { class: 'number' }, `${percent(neuron.coverage)} covered`)),
      neuronHistogram({ ...neuron, counts: counts[i], edges, O }),
      h('p', { class: 'hint number' }, `state ${neuron.state.toFixed(3)} · ${neuron.bin < 0 ? 'in no bin' : `${counts[i][neuron.bin]} before`}`))));
    grid.setAttribute('aria-label', `${list.length} neurons of ${layers[layer].name}, ${M - 1} bins each`);
  };
  // The layer that is least covered, by the ratio that its neurons usually have, is not known: the plain lowest it is.
  const lowest = result.layers.reduce((best, { score }, i) => (score < result.layers[best].score ? i : best), 0);
  const choose = (/** @type {number} */ layer) => {
    grid.dataset.layer = String(layer);
    show(layer).catch((error) => grid.replaceChildren(h('p', { class: 'hint' }, error.message)));
  };
  const card = h('article', { class: 'card' },
    h('div', { class: 'row' }, h('h3', null, 'The least covered neurons'),
      h('fieldset', { class: 'segments' }, h('legend', { class: 'visually-hidden' }, 'Layer'),
        layers.map(({ name }, i) => h('label', null, h('input', { type: 'radio', name: 'neurons', checked: i === lowest, change: () => choose(i) }), h('span', null, name))))),
    grid,
    h('p', { class: 'hint' }, 'Bars: how many in-distribution images put the neuron into which state, from 0 to 1 (height: square root). The needle: this image. Dashed: as many as fill a bin.'));
  queueMicrotask(() => choose(lowest));
  return card;
}
