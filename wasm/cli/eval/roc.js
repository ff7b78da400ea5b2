// @ts-check
/** ROC curves of one set, NAC's and the baselines': what is caught against what it costs in false alarms. */
import { METHODS } from './methods.js';
import { element, line, linear, path, svg, text } from './svg.js';

const [WIDTH, HEIGHT] = [720, 500];
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 470, 52, 436];
const LEGEND = 500;
// Points of a curve are at least this far apart, in shares: less than a pixel.
const STEP = 1 / 500;

/** Light, dark, dashes: nine colours alone are too many for some eyes. @type {Record<string, [string, string, string]>} */
const STYLES = {
  nac: ['#0b57d0', '#7db1ff', ''],
  msp: ['#7a828e', '#a7b0bd', ''],
  maxLogit: ['#0f8b8d', '#4fd0d2', '7 3'],
  energy: ['#2a8a3e', '#6fd083', ''],
  entropy: ['#7a828e', '#a7b0bd', '3 3'],
  gen: ['#a23bb0', '#e08bed', ''],
  gradNorm: ['#a23bb0', '#e08bed', '3 3'],
  knn: ['#d9650b', '#f59a4a', ''],
  vim: ['#b3261e', '#ff8a80', '7 3'],
};

const percent = (/** @type {number} */ share, digits = 1) => (100 * share).toFixed(digits);

/** @param {{ name: string, methods: Record<string, { auroc: number }>, id: Record<string, Float32Array>, ood: Record<string, Float32Array> }} set */
export function drawRoc({ name, methods, id, ood }) {
  const x = linear([0, 1], [LEFT, RIGHT]);
  const y = linear([0, 1], [BOTTOM, TOP]);
  // NAC last: on top.
  const order = Object.keys(methods).sort((a, b) => Number(a === 'nac') - Number(b === 'nac'));
  const curves = order.map((method) => {
    const points = rocCurve(id[method], ood[method]).map(([fpr, tpr]) => [x(fpr), y(tpr)]);
    return element('path', { d: path(points), class: `${method}-line`, ...stroke(method) });
  });
  const ranked = Object.entries(methods).sort(([, a], [, b]) => b.auroc - a.auroc);
  const colors = Object.fromEntries(Object.entries(STYLES).map(([method, [light, dark]]) => [`${method}-line`, /** @type {[string, string]} */ ([light, dark])]));
  colors['chance-line'] = ['#b4bcc8', '#4a5463'];
  const title = `ROC: ${name}`;
  const desc = `Share of the images of ${name} that are caught, against the share of in-distribution images that are flagged, for every threshold. `
    + `AUROC in percent: ${ranked.map(([method, { auroc }]) => `${METHODS[method]} ${percent(auroc)}`).join(', ')}.`;
  return svg({ width: WIDTH, height: HEIGHT, title, desc, colors }, [
    text(LEFT, 30, title, { class: 'ink title' }),
    ...axes(x, y),
    line(x(0), y(0), x(1), y(1), 'chance-line'),
    ...curves,
    ...legend(ranked),
  ]);
}

/** @param {string} method */
function stroke(method) {
  const dashes = STYLES[method][2];
  return { 'stroke-width': method === 'nac' ? 3 : 1.6, ...(dashes && { 'stroke-dasharray': dashes }) };
}

/** @param {ReturnType<typeof linear>} x @param {ReturnType<typeof linear>} y */
function axes(x, y) {
  const label = (/** @type {number} */ tick) => `${percent(tick, 0)}`;
  return [
    ...x.ticks.flatMap((tick) => [line(x(tick), TOP, x(tick), BOTTOM, 'grid-line'), text(x(tick), BOTTOM + 18, label(tick), { class: 'soft small', 'text-anchor': 'middle' })]),
    ...y.ticks.flatMap((tick) => [line(LEFT, y(tick), RIGHT, y(tick), 'grid-line'), text(LEFT - 8, y(tick) + 4, label(tick), { class: 'soft small', 'text-anchor': 'end' })]),
    // Where FPR95 is read.
    line(LEFT, y(0.95), RIGHT, y(0.95), 'axis-line'),
    text(RIGHT - 6, y(0.95) + 15, 'FPR95 is read here: 95 % caught', { class: 'soft small', 'text-anchor': 'end' }),
    text((LEFT + RIGHT) / 2, BOTTOM + 42, 'false alarms: % of in-distribution images flagged', { class: 'soft', 'text-anchor': 'middle' }),
    text(0, 0, '% of the set caught', { class: 'soft', 'text-anchor': 'middle', transform: `translate(20 ${(TOP + BOTTOM) / 2}) rotate(-90)` }),
  ];
}

/** @param {[string, { auroc: number }][]} ranked */
function legend(ranked) {
  const row = (/** @type {number} */ i) => TOP + 44 + 26 * i;
  return [
    text(LEGEND + 196, TOP + 14, 'AUROC', { class: 'soft', 'text-anchor': 'end' }),
    ...ranked.flatMap(([method, { auroc }], i) => {
      const ink = { class: method === 'nac' ? 'ink strong' : 'ink' };
      return [
        element('line', { x1: LEGEND, y1: row(i) - 4, x2: LEGEND + 34, y2: row(i) - 4, class: `${method}-line`, ...stroke(method) }),
        text(LEGEND + 44, row(i), METHODS[method], ink),
        text(LEGEND + 196, row(i), percent(auroc), { ...ink, 'text-anchor': 'end' }),
      ];
    }),
  ];
}

/**
 * Shares of ID flagged and of OOD caught, from the strictest threshold to the loosest; tied scores are flagged together.
 * @param {Float32Array} id
 * @param {Float32Array} ood
 * @returns {[number, number][]}
 */
export function rocCurve(id, ood) {
  const [inside, outside] = [id.slice().sort(), ood.slice().sort()];
  /** @type {[number, number][]} */
  const points = [[0, 0]];
  let [i, o, last] = [0, 0, [0, 0]];
  while (i < inside.length || o < outside.length) {
    const threshold = Math.min(inside[i] ?? Infinity, outside[o] ?? Infinity);
    while (inside[i] <= threshold) ++i;
    while (outside[o] <= threshold) ++o;
    const point = /** @type {[number, number]} */ ([i / inside.length, o / outside.length]);
    const end = i === inside.length && o === outside.length;
    if (!end && point[0] - last[0] < STEP && point[1] - last[1] < STEP) continue;
    points.push(point);
    last = point;
  }
  return points;
}
