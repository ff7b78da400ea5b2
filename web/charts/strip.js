// @ts-check
/** All neurons of a layer as cells, in the network's order: how covered each one's state is. */
import { h, themeColour } from '../dom.js';

/** Of a colour "#rrggbb". @param {string} colour */
export const rgb = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/**
 * @param {Float32Array} coverage 0..1 a neuron
 * @param {string} label
 */
export function coverageStrip(coverage, label) {
  // As wide as can be told apart on a phone: 64 cells a row.
  const columns = Math.min(coverage.length, 64);
  const rows = Math.ceil(coverage.length / columns);
  const canvas = h('canvas', { width: columns, height: rows, class: 'strip', role: 'img', 'aria-label': label });
  const context = canvas.getContext('2d');
  const image = context.createImageData(columns, rows);
  const covered = rgb(themeColour('--covered'));
  const bare = rgb(themeColour('--bare'));
  coverage.forEach((value, i) => {
    // The square root parts what is hardly covered from what is not at all.
    const share = Math.sqrt(value);
    image.data.set([...covered.map((channel, c) => Math.round(bare[c] + (channel - bare[c]) * share)), 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
  canvas.dataset.rows = String(Math.min(rows, 8));
  return canvas;
}
