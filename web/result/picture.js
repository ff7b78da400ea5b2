// @ts-check
/** The picture as it was given, and over what the network saw of it the heat map of a layer. */
import { drawHeatMap } from '../charts/heatmap.js';
import { h } from '../dom.js';

/** @typedef {import('../../wasm/js/result.js').Result} Result */

/**
 * @param {Result} result with explanation
 * @param {string} url of the picture
 * @param {{ layer: number }} view what is chosen, and stays chosen from image to image; -1: the picture
 */
export function picture(result, url, view) {
  const { view: seen, layers } = /** @type {NonNullable<Result['explanation']>} */ (result.explanation);
  if (view.layer >= 0 && !layers[view.layer]?.map) view.layer = -1;
  const original = h('img', { src: url, alt: `${result.file}, as given`, decoding: 'async' });
  original.addEventListener('load', () => original.classList.toggle('pixelated', Math.max(original.naturalWidth, original.naturalHeight) <= 128));
  original.addEventListener('error', () => original.remove());
  const canvas = h('canvas', { role: 'img', hidden: true });
  const caption = h('figcaption', { class: 'hint' });
  const draw = () => {
    const map = view.layer >= 0 ? layers[view.layer].map : null;
    canvas.hidden = !map;
    original.hidden = Boolean(map);
    canvas.setAttribute('aria-label', map ? `Heat map of uncovered activation in ${layers[view.layer].name}` : '');
    drawHeatMap(canvas, seen, map);
    caption.textContent = map
      ? `What the network saw, ${seen.width} × ${seen.height}. Bright: uncovered activation of ${layers[view.layer].name}, relative to this picture’s most.`
      : 'As given. The layers show where uncovered activation sits.';
  };
  const choice = (/** @type {string} */ text, /** @type {number} */ layer) =>
    h('label', null, h('input', { type: 'radio', name: 'view', checked: layer === view.layer, change: () => { view.layer = layer; draw(); } }), h('span', null, text));
  const figure = h('figure', { class: 'picture' },
    h('div', { class: 'frame' }, original, canvas),
    h('fieldset', { class: 'segments' }, h('legend', { class: 'visually-hidden' }, 'Show the picture or a layer’s heat map'),
      choice('Picture', -1), layers.map(({ name, map }, i) => map && choice(name, i)).reverse()),
    caption);
  draw();
  return figure;
}
