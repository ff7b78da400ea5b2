// @ts-check
/** Of every threshold: the share of out-of-distribution images caught against the share of in-distribution images flagged. */
import { s } from '../dom.js';

const SIZE = 320;
const LEFT = 34;
const BOTTOM = 34;
const SPAN = SIZE - LEFT - 12;
// A line needs no more points than the screen has.
const POINTS = 400;

/**
 * [flagged, caught] at thresholds from the lowest score upwards; images of equal score step together.
 * @param {Float32Array} id
 * @param {Float32Array} ood low = out
 * @returns {[number, number][]}
 */
export function rocPoints(id, ood) {
  const [inside, outside] = [Float32Array.from(id).sort(), Float32Array.from(ood).sort()];
  /** @type {[number, number][]} */
  const points = [[0, 0]];
  let [i, o] = [0, 0];
  while (i < inside.length || o < outside.length) {
    const at = Math.min(inside[i] ?? Infinity, outside[o] ?? Infinity);
    while (inside[i] <= at) ++i;
    while (outside[o] <= at) ++o;
    points.push([i / inside.length, o / outside.length]);
  }
  return points;
}

/** @typedef {{ key: string, title: string, id: Float32Array, ood: Float32Array }} Curve */

/** @param {Curve[]} curves the first is drawn on top */
export function rocChart(curves) {
  const x = (/** @type {number} */ share) => (LEFT + share * SPAN).toFixed(1);
  const y = (/** @type {number} */ share) => (SIZE - BOTTOM - share * SPAN).toFixed(1);
  const line = (/** @type {Curve} */ { key, title, id, ood }) => {
    const points = rocPoints(id, ood);
    const every = Math.max(1, Math.ceil(points.length / POINTS));
    const kept = points.filter((_, i) => i % every === 0 || i === points.length - 1);
    return s('polyline', { points: kept.map(([flagged, caught]) => `${x(flagged)},${y(caught)}`).join(' '), class: 'curve', 'data-method': key }, s('title', null, title));
  };
  return s('svg', { viewBox: `0 0 ${SIZE} ${SIZE}`, class: 'axis roc', role: 'img', 'aria-label': `ROC curves of ${curves.map(({ title }) => title).join(', ')}` },
    s('rect', { x: LEFT, y: y(1), width: SPAN, height: SPAN, class: 'field' }),
    s('line', { x1: x(0), y1: y(0), x2: x(1), y2: y(1), class: 'threshold' }),
    [...curves].reverse().map(line),
    [0, 0.5, 1].map((share) => [
      s('text', { x: x(share), y: SIZE - BOTTOM + 16, class: share === 0 ? 'start' : share === 1 ? 'end' : '' }, `${100 * share}`),
      s('text', { x: LEFT - 5, y: Number(y(share)) + 4, class: 'end' }, `${100 * share}`),
    ]),
    s('text', { x: x(0.5), y: SIZE - 2 }, '% of familiar images flagged'),
    s('text', { x: 9, y: y(0.5), transform: `rotate(-90 9 ${y(0.5)})` }, '% of outliers caught'));
}
