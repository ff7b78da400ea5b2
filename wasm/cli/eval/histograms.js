// @ts-check
/** Histograms of NAC scores: every set over the in-distribution images, one panel each, all on one axis with the threshold. */
import { element, line, linear, path, svg, text } from './svg.js';

const WIDTH = 720;
const [LEFT, RIGHT, TOP, PANEL, GAP, BOTTOM] = [64, 24, 116, 120, 44, 56];
const BINS = 60;
/** @type {Record<string, [string, string]>} */
const COLORS = {
  inside: ['#2f6fc4', '#6ea8f5'],
  outside: ['#d9650b', '#f59a4a'],
  'inside-line': ['#2f6fc4', '#6ea8f5'],
  'outside-line': ['#d9650b', '#f59a4a'],
};

const percent = (/** @type {number} */ share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

/**
 * @param {any} document nac.eval/1
 * @param {{ id: Record<string, Float32Array>, sets: Record<string, Record<string, Float32Array>> }} scores
 */
export function drawHistograms({ id, sets, threshold }, scores) {
  const groups = sets.map((/** @type {any} */ { name }) => scores.sets[name].nac);
  const [low, high] = extent([scores.id.nac, ...groups]);
  const x = linear([low, high], [LEFT, WIDTH - RIGHT]);
  const share = (/** @type {Float32Array} */ values) => histogram(values, low, high);
  const inside = share(scores.id.nac);
  const shares = groups.map(share);
  const top = Math.max(...inside, ...shares.flat());
  const height = TOP + sets.length * (PANEL + GAP) - GAP + BOTTOM;
  const panels = sets.map((/** @type {any} */ set, /** @type {number} */ i) =>
    panel({ x, top, inside, outside: shares[i], set, threshold, y0: TOP + i * (PANEL + GAP) }));
  const bottom = height - BOTTOM;
  const axis = x.ticks.map((tick) => text(x(tick), bottom + 18, tick.toFixed(x.digits), { class: 'soft small', 'text-anchor': 'middle' }));
  const flagged = id.flagged === null ? '' : ` ${percent(id.flagged)} of the in-distribution images lie below the threshold ${threshold.toFixed(3)}.`;
  const each = sets.map((/** @type {any} */ { name, methods }) => `${name}: AUROC ${percent(methods.nac.auroc)}.`).join(' ');
  const desc = `Share of images by NAC score, of ${id.images} in-distribution images and of each other set.${flagged} ${each}`;
  return svg({ width: WIDTH, height, title: 'NAC scores', desc, colors: COLORS }, [
    text(LEFT, 30, 'NAC scores', { class: 'ink title' }),
    ...legend(threshold, id),
    ...panels.flat(),
    ...axis,
    text((LEFT + WIDTH - RIGHT) / 2, bottom + 42, 'score: left unknown, right familiar to the network', { class: 'soft', 'text-anchor': 'middle' }),
  ]);
}

/** @param {number | null} threshold @param {any} id */
function legend(threshold, id) {
  const swatch = (/** @type {number} */ x, /** @type {string} */ name) => element('rect', { x, y: 44, width: 14, height: 12, rx: 2, class: name, 'fill-opacity': 0.55 });
  const items = [
    swatch(LEFT, 'inside'), text(LEFT + 20, 55, 'in-distribution', { class: 'ink' }),
    swatch(LEFT + 136, 'outside'), text(LEFT + 156, 55, 'the set', { class: 'ink' }),
  ];
  if (threshold === null) return items;
  const label = `threshold ${threshold.toFixed(3)}: ${percent(id.flagged)} of the in-distribution images are below, ${percent(id.falseAlarm)} are promised`;
  return [...items, line(LEFT, 74, LEFT + 22, 74, 'dashed-line'), text(LEFT + 30, 79, label, { class: 'ink' })];
}

/** @param {any} of */
function panel({ x, top, inside, outside, set, threshold, y0 }) {
  const base = y0 + PANEL;
  const y = linear([0, top], [base, y0]);
  const flagged = set.flagged === null ? '' : `, ${percent(set.flagged)} below the threshold`;
  const grid = y.ticks.filter((tick) => tick > 0 && tick <= top).flatMap((tick) => [
    line(LEFT, y(tick), WIDTH - RIGHT, y(tick), 'grid-line'),
    text(LEFT - 8, y(tick) + 4, percent(tick, 0), { class: 'soft small', 'text-anchor': 'end' }),
  ]);
  return [
    ...grid,
    text(LEFT, y0 - 8, set.name, { class: 'ink strong' }),
    text(WIDTH - RIGHT, y0 - 8, `AUROC ${percent(set.methods.nac.auroc)}${flagged}`, { class: 'soft', 'text-anchor': 'end' }),
    ...steps(inside, 'inside', x, y, base),
    ...steps(outside, 'outside', x, y, base),
    line(LEFT, base, WIDTH - RIGHT, base, 'axis-line'),
    ...(threshold === null ? [] : [line(x(threshold), y0, x(threshold), base, 'dashed-line')]),
  ];
}

/** An area with its outline.
 * @param {number[]} shares @param {string} name @param {any} x @param {any} y @param {number} base
 */
function steps(shares, name, x, y, base) {
  const [left, right] = x.pixels;
  const edge = (/** @type {number} */ i) => left + ((right - left) * i) / shares.length;
  const outline = shares.flatMap((share, i) => [[edge(i), y(share)], [edge(i + 1), y(share)]]);
  const area = [[left, base], ...outline, [right, base]];
  return [
    element('path', { d: `${path(area)}Z`, style: 'stroke:none', class: name, 'fill-opacity': 0.35 }),
    element('path', { d: path(outline), class: `${name}-line`, 'stroke-width': 1.5 }),
  ];
}

/** Of all scores, with a little room.
 * @param {Float32Array[]} sets
 * @returns {[number, number]}
 */
function extent(sets) {
  const low = Math.min(...sets.map((scores) => scores.reduce((a, b) => Math.min(a, b), Infinity)));
  const high = Math.max(...sets.map((scores) => scores.reduce((a, b) => Math.max(a, b), -Infinity)));
  const room = high > low ? 0.02 * (high - low) : 0.05;
  return [low - room, high + room];
}

/** Shares of all scores in equal bins.
 * @param {Float32Array} scores @param {number} low @param {number} high
 */
function histogram(scores, low, high) {
  const counts = new Array(BINS).fill(0);
  for (const score of scores) ++counts[Math.min(BINS - 1, Math.floor((BINS * (score - low)) / (high - low)))];
  return counts.map((count) => count / scores.length);
}
