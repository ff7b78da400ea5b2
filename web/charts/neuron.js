// @ts-check
/** One neuron: how many in-distribution images put it into each bin, and where one image fell. */
import { s } from '../dom.js';

const WIDTH = 168;
const HEIGHT = 74;
const BASE = HEIGHT - 14;
const TOP = 8;

/** @param {{ neuron: number, counts: Uint32Array, edges: Float64Array, bin: number, state: number, O: number }} what */
export function neuronHistogram({ neuron, counts, edges, bin, state, O }) {
  // The last bin, above 1, can never be hit.
  const bins = counts.length - 1;
  const step = WIDTH / bins;
  const most = Math.max(1, ...counts);
  const height = (/** @type {number} */ count) => Math.sqrt(count / most) * (BASE - TOP);
  let path = `M0 ${BASE}`;
  for (let i = 0; i < bins; ++i) path += `V${(BASE - height(counts[i])).toFixed(1)}H${((i + 1) * step).toFixed(2)}`;
  // Bins are drawn equally wide: narrow ones lie around 0.5, where most states are.
  const half = edges.findIndex((edge) => edge >= 0.5) * step;
  const before = bin >= 0 ? `; ${counts[bin]} in-distribution images were there before` : '';
  const svg = s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'axis neuron-chart', role: 'img', 'aria-label': `Neuron ${neuron}: state ${state.toFixed(3)}${before}` },
    s('path', { d: `${path}V${BASE}Z`, class: 'bar-known' }),
    s('line', { x1: 0, x2: WIDTH, y1: BASE, y2: BASE, class: 'rule' }),
    s('text', { x: 0, y: HEIGHT - 2, class: 'start' }, '0'), s('text', { x: half, y: HEIGHT - 2 }, '½'), s('text', { x: WIDTH, y: HEIGHT - 2, class: 'end' }, '1'));
  if (O <= most) svg.append(s('line', { x1: 0, x2: WIDTH, y1: BASE - height(O), y2: BASE - height(O), class: 'threshold' }));
  if (bin >= 0) {
    const x = Math.min(bin + 0.5, bins) * step;
    svg.append(s('g', { class: 'needle' }, s('line', { x1: x, x2: x, y1: 2, y2: BASE }), s('circle', { cx: x, cy: BASE, r: 3 })));
  }
  return svg;
}
