// @ts-check
/** Scores of two sets: in-distribution upwards, the others downwards, on one axis. */
import { s } from '../dom.js';
import { histogram } from './histogram.js';

const WIDTH = 640;
const HALF = 84;
const SIDE = 14;
const TOP = 18;
const MIDDLE = TOP + HALF;
const HEIGHT = MIDDLE + HALF + 26;
const BINS = 48;

/** @param {{ id: Float32Array, ood: Float32Array, threshold: number | null, label: string, ticks?: (value: number) => string }} what */
export function compareHistogram({ id, ood, threshold, label, ticks = (value) => value.toFixed(2) }) {
  const [low, high] = extent([id, ood, threshold === null ? [] : [threshold]]);
  const margin = (high - low || 1) * 0.03;
  // A share is never below 0, and its axis shouldn't be.
  const [from, to] = [low >= 0 ? Math.max(0, low - margin) : low - margin, high + margin];
  const x = (/** @type {number} */ value) => SIDE + ((value - from) / (to - from)) * (WIDTH - 2 * SIDE);
  const step = (WIDTH - 2 * SIDE) / BINS;
  const bars = (/** @type {Float32Array} */ values, /** @type {string} */ name, /** @type {boolean} */ up) =>
    s('g', { class: name }, histogram(values, from, to, BINS).map((share, i) => share > 0 && values.length > 0 && s('rect', {
      x: SIDE + i * step + 0.75, y: up ? MIDDLE - share * HALF : MIDDLE + 1, width: step - 1.5, height: share * HALF, rx: 1.5,
    })));
  const svg = s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'axis compare', role: 'img', 'aria-label': label },
    bars(id, 'bar-id', true), bars(ood, 'bar-ood', false), s('line', { x1: SIDE, x2: WIDTH - SIDE, y1: MIDDLE, y2: MIDDLE, class: 'rule' }));
  for (let i = 0; i <= 4; ++i) {
    const value = from + (i / 4) * (to - from);
    svg.append(s('text', { x: x(value), y: HEIGHT - 6, class: i === 0 ? 'start' : i === 4 ? 'end' : '' }, ticks(value)));
  }
  if (threshold !== null) {
    const side = x(threshold) > WIDTH * 0.75 ? 'end' : 'start';
    svg.append(
      s('line', { x1: x(threshold), x2: x(threshold), y1: TOP - 8, y2: MIDDLE + HALF, class: 'threshold' }),
      s('text', { x: x(threshold) + (side === 'end' ? -5 : 5), y: TOP - 4, class: side }, `threshold ${ticks(threshold)}`));
  }
  return svg;
}

/** @param {ArrayLike<number>[]} lists @returns {[number, number]} */
function extent(lists) {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists)
    for (let i = 0; i < list.length; ++i) {
      low = Math.min(low, list[i]);
      high = Math.max(high, list[i]);
    }
  return low <= high ? [low, high] : [0, 1];
}
