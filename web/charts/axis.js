// @ts-check
/** Where scores lie among those of held-out in-distribution images: histogram, threshold, needles. */
import { s } from '../dom.js';
import { histogram } from './histogram.js';

const WIDTH = 640;
const HEIGHT = 190;
const SIDE = 14;
const TOP = 44;
const BASE = HEIGHT - 34;
const ROOM = BASE - TOP;
const BINS = 48;
const LABEL = 150; // widest of the threshold's words

/** Of the drawing's width, on each side of its axis, in percent: for what is laid over it. */
export const AXIS_INSET = (100 * SIDE) / WIDTH;

/**
 * @typedef {object} Scores
 * @property {Float32Array} calibration sorted
 * @property {number | null} threshold
 * @property {number} [score] a needle
 * @property {number} [before] a paler needle
 * @property {ArrayLike<number>} [batch] drawn as a second histogram, before the first
 */

/**
 * The part of 0..1 that the axis shows: whole tenths, room for everything.
 * @param {Scores} what
 * @returns {[number, number]}
 */
export function axisRange({ calibration, threshold, score, before, batch }) {
  let [low, high] = [1, 0];
  const see = (/** @type {number | null | undefined} */ value) => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return;
    low = Math.min(low, value);
    high = Math.max(high, value);
  };
  [calibration[0], calibration.at(-1), threshold, score, before].forEach(see);
  for (let i = 0; i < (batch?.length ?? 0); ++i) see(batch?.[i]);
  if (high < low) return [0, 1];
  return [Math.max(0, Math.floor((low - 0.03) * 10) / 10), Math.min(1, Math.ceil((high + 0.02) * 10) / 10)];
}

/** @param {Scores & { label: string }} what label: for those who cannot see it */
export function scoreAxis(what) {
  const { calibration, threshold, score, before, batch, label } = what;
  const [from, to] = axisRange(what);
  const x = (/** @type {number} */ value) => SIDE + ((Math.min(Math.max(value, from), to) - from) / (to - from)) * (WIDTH - 2 * SIDE);
  const svg = s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'axis', role: 'img', 'aria-label': label });
  if (threshold !== null) {
    svg.append(
      s('rect', { x: x(from), y: TOP, width: x(threshold) - x(from), height: ROOM, class: 'zone-out' }),
      s('rect', { x: x(threshold), y: TOP, width: x(to) - x(threshold), height: ROOM, class: 'zone-in' }),
    );
  }
  svg.append(bars(calibration, from, to, 'bar-known', 0.06), bars(batch ?? [], from, to, 'bar-batch', 0.3));
  svg.append(s('line', { x1: SIDE, x2: WIDTH - SIDE, y1: BASE, y2: BASE, class: 'rule' }));
  for (let tick = Math.round(from * 10); tick <= Math.round(to * 10); ++tick) {
    svg.append(
      s('line', { x1: x(tick / 10), x2: x(tick / 10), y1: BASE, y2: BASE + 4, class: 'rule' }),
      s('text', { x: x(tick / 10), y: BASE + 20, class: 'tick' }, (tick / 10).toFixed(1)),
    );
  }
  if (threshold !== null) {
    // Its words keep out of the needle's way, and inside of the drawing.
    const crowded = score !== undefined && score >= threshold && x(score) - x(threshold) < LABEL;
    const side = (crowded && x(threshold) > LABEL) || x(threshold) > WIDTH * 0.75 ? 'end' : 'start';
    svg.append(
      s('line', { x1: x(threshold), x2: x(threshold), y1: TOP - 12, y2: BASE, class: 'threshold' }),
      s('text', { x: x(threshold) + (side === 'end' ? -5 : 5), y: TOP - 5, class: `note ${side}` }, `threshold ${threshold.toFixed(2)}`),
    );
  }
  if (before !== undefined) svg.append(s('g', { class: 'needle before' }, s('line', { x1: x(before), x2: x(before), y1: TOP - 4, y2: BASE }), s('circle', { cx: x(before), cy: BASE, r: 4 })));
  if (score !== undefined) svg.append(needle(score, x(score), threshold));
  return svg;
}

/**
 * @param {ArrayLike<number>} values
 * @param {number} from
 * @param {number} to
 * @param {string} name
 * @param {number} gap on each side, of a bin's width
 */
function bars(values, from, to, name, gap) {
  const step = (WIDTH - 2 * SIDE) / BINS;
  const height = (/** @type {number} */ share) => share * (ROOM - 8);
  return s('g', { class: name }, histogram(values, from, to, BINS).map((share, i) => share > 0 && s('rect', {
    x: SIDE + (i + gap) * step, y: BASE - height(share), width: step * (1 - 2 * gap), height: height(share), rx: 1.5,
  })));
}

/** @param {number} score @param {number} at @param {number | null} threshold */
function needle(score, at, threshold) {
  const out = threshold !== null && score < threshold;
  const side = at > WIDTH * 0.8 ? 'end' : at < WIDTH * 0.2 ? 'start' : 'middle';
  return s('g', { class: `needle ${out ? 'out' : 'in'}` },
    s('line', { x1: at, x2: at, y1: 22, y2: BASE }),
    s('circle', { cx: at, cy: BASE, r: 5 }),
    s('text', { x: at, y: 15, class: side }, `this image ${score.toFixed(3)}`));
}
