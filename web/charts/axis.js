// @ts-check
/** Where scores lie among those of held-out in-distribution images: histogram, threshold, needles. */
import { s } from '../dom.js';

const WIDTH = 640;
const HEIGHT = 190;
const LEFT = 14;
const RIGHT = 14;
const TOP = 44;
const BASE = HEIGHT - 34;

/**
 * Bars as one path: bin heights relative to the highest.
 * @param {ArrayLike<number>} values
 * @param {number} from
 * @param {number} to
 * @param {number} bins
 */
function histogram(values, from, to, bins) {
  const counts = new Array(bins).fill(0);
  for (let i = 0; i < values.length; ++i) {
    const bin = Math.floor(((values[i] - from) / (to - from)) * bins);
    ++counts[Math.min(Math.max(bin, 0), bins - 1)];
  }
  const most = Math.max(1, ...counts);
  return counts.map((count) => count / most);
}

/**
 * @param {object} what
 * @param {Float32Array} what.calibration sorted
 * @param {number | null} what.threshold
 * @param {number} [what.score] a needle
 * @param {{ score: number, verdict: string | null }[]} [what.batch] drawn as a second histogram, hanging
 * @param {string} what.label for those who cannot see it
 */
export function scoreAxis({ calibration, threshold, score, batch, label }) {
  const all = [...calibration.subarray(0, 1), ...(batch ?? []).map((one) => one.score), score ?? 1, threshold ?? 1, 1].filter(Number.isFinite);
  const from = Math.max(0, Math.floor((Math.min(...all) - 0.03) * 10) / 10);
  const to = Math.min(1, Math.ceil((Math.max(calibration.at(-1) ?? 1, ...all.filter((value) => value < 1), score ?? 0) + 0.02) * 10) / 10);
  const x = (/** @type {number} */ value) => LEFT + ((Math.min(Math.max(value, from), to) - from) / (to - from)) * (WIDTH - LEFT - RIGHT);
  const bins = 48;
  const step = (WIDTH - LEFT - RIGHT) / bins;
  const room = BASE - TOP;
  const svg = s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'axis', role: 'img', 'aria-label': label });

  if (threshold !== null) {
    svg.append(
      s('rect', { x: x(from), y: TOP, width: Math.max(0, x(threshold) - x(from)), height: room, class: 'zone-out' }),
      s('rect', { x: x(threshold), y: TOP, width: Math.max(0, x(to) - x(threshold)), height: room, class: 'zone-in' }),
    );
  }
  histogram(calibration, from, to, bins).forEach((height, i) => {
    if (height > 0) svg.append(s('rect', { x: LEFT + i * step + 0.75, y: BASE - height * (room - 8), width: step - 1.5, height: height * (room - 8), rx: 1.5, class: 'bar-known' }));
  });
  if (batch?.length) {
    histogram(batch.map((one) => one.score), from, to, bins).forEach((height, i) => {
      if (height > 0) svg.append(s('rect', { x: LEFT + i * step + step * 0.3, y: BASE - height * (room - 8), width: step * 0.4, height: height * (room - 8), rx: 1.5, class: 'bar-batch' }));
    });
  }
  svg.append(s('line', { x1: LEFT, x2: WIDTH - RIGHT, y1: BASE, y2: BASE, class: 'rule' }));
  for (let tick = Math.round(from * 10); tick <= Math.round(to * 10); ++tick) {
    svg.append(
      s('line', { x1: x(tick / 10), x2: x(tick / 10), y1: BASE, y2: BASE + 4, class: 'rule' }),
      s('text', { x: x(tick / 10), y: BASE + 18, class: 'tick' }, (tick / 10).toFixed(1)),
    );
  }
  if (threshold !== null) {
    const side = x(threshold) > WIDTH * 0.75 ? 'end' : 'start';
    svg.append(
      s('line', { x1: x(threshold), x2: x(threshold), y1: TOP - 12, y2: BASE, class: 'threshold' }),
      s('text', { x: x(threshold) + (side === 'end' ? -5 : 5), y: TOP - 5, class: `note ${side}` }, `threshold ${threshold.toFixed(2)}`),
    );
  }
  if (score !== undefined) {
    const at = x(score);
    const out = threshold !== null && score < threshold;
    const side = at > WIDTH * 0.8 ? 'end' : at < WIDTH * 0.2 ? 'start' : 'middle';
    svg.append(
      s('g', { class: `needle ${out ? 'out' : 'in'}` },
        s('line', { x1: at, x2: at, y1: 22, y2: BASE }),
        s('circle', { cx: at, cy: BASE, r: 5 }),
        s('text', { x: at, y: 15, class: side }, `this image ${score.toFixed(3)}`)),
    );
  }
  return svg;
}
