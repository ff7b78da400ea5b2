// @ts-check
/**
 * The search for alpha, M and O of every layer, and for layers better left out: which scores part in-distribution images from
 * outliers best, by the mean AUROC over the sets. Counts depend on a layer, alpha and M alone, O is free, and an image's score is
 * the mean of its layers': so scores of every candidate are computed once, and a combination is a sum. No network runs here.
 *
 * What parts these outliers best may part others worse. Two things are done about that. Of combinations that are as good as the
 * best but for chance, the one nearest to the defaults is taken (the one-standard-error rule). And the search is repeated without
 * each set in turn and without half of the in-distribution images, and judged by what it has not seen: where the defaults do as
 * well there, they are what comes out.
 */
import { alphasOfQuantiles, chooseAlpha, chooseFill, joinStates, BINS } from './collector.js';
import { NacError } from './error.js';
import { Judge } from './judge.js';

/**
 * @typedef {import('./states.js').States} States
 * @typedef {import('./engine.js').Engine} Engine
 * @typedef {{ alpha: number, M: number, O: number, distance: number, scores: Float32Array }} Candidate of one layer; distance: in
 *   decades, from the defaults; scores: of the in-distribution images and of every outlier, one set after another
 * @typedef {(Candidate | null)[]} Combination one of each layer, null: left out
 */

// Of |Z G|. Between 0.5 and 0.9 most states are in narrow bins; beyond, nearly all are at 0.5, or at 0 and 1.
const QUANTILES = [0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];
const EDGES = [50, 200, 1000];
// Around chooseFill's. The last caps a layer's score below 1, so it counts for less among the others.
const FILL_FACTORS = [0.02, 0.1, 0.3, 1, 3, 10, 50];
// A layer that is left out is as far from the defaults as an alpha ten times as large.
const LEFT_OUT = 1;
const ROUNDS = 6;
// A standard error of fewer parts would say little.
const PARTS = 10;

/**
 * @param {Engine} engine
 * @param {{ profile: States[], id: States[], ood: States[][] }} data
 *   profile: states to count; id and ood: states to part; disjoint from each other
 * @param {{ onProgress?: (done: number, total: number) => void }} [options]
 */
export function tune(engine, data, { onProgress } = {}) {
  const { parts, pieces } = divide(data.ood);
  if (data.id.length < 2 || parts.length < 2)
    throw new NacError('INVALID_ARGUMENT', `${data.id.length} in-distribution images and ${data.ood.flat().length} outliers are too few to search with`);
  const sizes = [data.id.length, ...parts.map((part) => part.length)];
  const half = data.id.length >> 1;
  const [judge, seen, fresh] = [new Judge(sizes), new Judge(sizes, 0, half), new Judge(sizes, half)];
  const steps = data.profile[0].taps.length + parts.length + 1;
  let step = 0;
  const candidates = data.profile[0].taps.map((_, layer) => {
    const list = candidatesOf(engine, { ...data, ood: parts }, layer);
    onProgress?.(++step, steps);
    return list;
  });
  const defaults = candidates.map((list) => list.reduce((a, b) => (b.distance < a.distance ? b : a)));

  const all = parts.map((_, i) => i);
  const found = search(judge, candidates, defaults, all);
  onProgress?.(++step, steps);
  const unseen = all.map((part) => {
    const without = search(seen, candidates, defaults, all.filter((other) => other !== part));
    onProgress?.(++step, steps);
    return fresh.rate(without)[part];
  });
  const defaultsKept = mean(unseen) <= mean(fresh.rate(defaults));
  const ofDefaults = judge.rate(defaults).slice();
  const chosen = defaultsKept ? defaults : found;
  const rates = judge.rate(chosen);
  const ofSet = (/** @type {ArrayLike<number>} */ values, /** @type {number} */ set) =>
    mean(Array.from({ length: pieces }, (_, i) => values[set * pieces + i]));
  const kept = chosen.flatMap((candidate, layer) => (candidate ? [layer] : []));
  const of = (/** @type {'alpha' | 'M' | 'O'} */ what) => kept.map((layer) => /** @type {Candidate} */ (chosen[layer])[what]);
  return {
    /** Of the layers that are kept. */
    layers: kept,
    settings: { alpha: of('alpha'), bins: of('M'), fill: of('O') },
    auroc: mean(rates),
    aurocOfDefaults: mean(ofDefaults),
    /** aurocUnseen: of a search without the set, on in-distribution images that it has not seen either. */
    sets: data.ood.map((_, set) => ({ auroc: ofSet(rates, set), aurocUnseen: ofSet(unseen, set), aurocOfDefaults: ofSet(ofDefaults, set) })),
    aurocUnseen: mean(unseen),
    defaultsKept,
  };
}

/** Sets are what varies; of fewer sets than PARTS, as many parts of each, one set's after another's.
 * @param {States[][]} sets
 */
function divide(sets) {
  const pieces = Math.min(Math.ceil(PARTS / sets.length), ...sets.map((set) => set.length));
  return { pieces, parts: sets.flatMap((set) => Array.from({ length: pieces }, (_, i) => set.filter((_, n) => n % pieces === i))) };
}

/** @param {ArrayLike<number>} values */
function mean(values) {
  return Array.from(values).reduce((a, b) => a + b, 0) / values.length;
}

/**
 * Scores of every candidate, of all images.
 * @param {Engine} engine
 * @param {{ profile: States[], id: States[], ood: States[][] }} data
 * @param {number} layer
 * @returns {Candidate[]}
 */
function candidatesOf(engine, { profile, id, ood }, layer) {
  const join = (/** @type {States[]} */ states) => ({ z: joinStates(states, 'z', layer), g: joinStates(states, 'g', layer) });
  const [counted, judged] = [join(profile), join([...id, ...ood.flat()])];
  const [plain, fill] = [chooseAlpha(counted.z, counted.g), chooseFill(profile.length)];
  const alphas = new Set(alphasOfQuantiles(counted.z, counted.g, QUANTILES));
  const fills = [...new Set(FILL_FACTORS.map((factor) => Math.max(1, Math.round(fill * factor))))];
  const { neurons } = profile[0].taps[layer];
  const decades = (/** @type {number} */ a, /** @type {number} */ b) => Math.abs(Math.log10(a / b));
  /** @type {any[]} */
  const candidates = [];
  for (const alpha of alphas.add(plain))
    for (const M of EDGES) {
      const coverage = engine.createCoverage({ neurons, alpha, M });
      coverage.add(counted.z, counted.g);
      const scores = coverage.score(judged.z, judged.g, fills);
      fills.forEach((O, i) => {
        const distance = decades(alpha, plain) + decades(M, BINS) + decades(O, fill);
        candidates.push({ alpha, M, O, distance, scores: scores[i] });
      });
      coverage.close();
    }
  return candidates;
}

/**
 * The simplest combination that is as good as the best, but for chance.
 * @param {Judge} judge
 * @param {Candidate[][]} candidates
 * @param {Combination} defaults
 * @param {number[]} parts those that count
 */
function search(judge, candidates, defaults, parts) {
  const rate = (/** @type {Combination} */ combination) => meanOf(judge.rate(combination), parts);
  const alone = candidates.map((list, layer) => argMax(list, (one) => rate(candidates.map((_, l) => (l === layer ? one : null)))));
  const ends = [defaults, alone].map((start) => climb(judge, candidates, start, parts));
  return simplify(judge, candidates, argMax(ends, rate), parts);
}

/** @param {ArrayLike<number>} values @param {number[]} indices */
function meanOf(values, indices) {
  let sum = 0;
  for (const i of indices) sum += values[i];
  return sum / indices.length;
}

/** @template T @param {T[]} items @param {(item: T) => number} value */
function argMax(items, value) {
  let [best, top] = [items[0], -Infinity];
  for (const item of items) {
    const one = value(item);
    if (one > top) [best, top] = [item, one];
  }
  return best;
}

/**
 * One layer after another takes what goes best with the others' choices, until nothing changes.
 * @param {Judge} judge
 * @param {Candidate[][]} candidates
 * @param {Combination} start
 * @param {number[]} parts
 */
function climb(judge, candidates, start, parts) {
  let [chosen, best] = [start, meanOf(judge.rate(start), parts)];
  for (let round = 0; round < ROUNDS; ++round) {
    const before = best;
    candidates.forEach((list, layer) => {
      const rateWith = judge.others(chosen, layer);
      for (const candidate of alternatives(list, chosen, layer)) {
        const auroc = meanOf(rateWith(candidate), parts);
        if (auroc <= best) continue;
        best = auroc;
        chosen = chosen.with(layer, candidate);
      }
    });
    if (best === before) break;
  }
  return chosen;
}

/** What a layer can be, the others staying: one of its candidates, or left out unless it is the only one.
 * @param {Candidate[]} list @param {Combination} chosen @param {number} layer
 * @returns {Combination}
 */
function alternatives(list, chosen, layer) {
  return chosen.some((other, l) => other && l !== layer) ? [...list, null] : list;
}

/**
 * Step by step nearer to the defaults, while that costs less than one standard error of the difference to the best.
 * @param {Judge} judge
 * @param {Candidate[][]} candidates
 * @param {Combination} best
 * @param {number[]} parts
 */
function simplify(judge, candidates, best, parts) {
  const top = judge.rate(best).slice();
  const distance = (/** @type {Candidate | null} */ candidate) => candidate?.distance ?? LEFT_OUT;
  let chosen = best;
  for (;;) {
    /** @type {{ layer: number, candidate: Candidate | null, gain: number } | null} */
    let step = null;
    candidates.forEach((list, layer) => {
      const rateWith = judge.others(chosen, layer);
      for (const candidate of alternatives(list, chosen, layer)) {
        const gain = distance(chosen[layer]) - distance(candidate);
        if (gain <= (step?.gain ?? 1e-9)) continue;
        const rates = rateWith(candidate);
        if (withinChance(parts.map((part) => top[part] - rates[part]))) step = { layer, candidate, gain };
      }
    });
    if (!step) return chosen;
    const { layer, candidate } = /** @type {{ layer: number, candidate: Candidate | null }} */ (step);
    chosen = chosen.with(layer, candidate);
  }
}

/** Whether the mean of differences is below its standard error.
 * @param {number[]} differences
 */
function withinChance(differences) {
  const middle = mean(differences);
  const variance = differences.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (differences.length - 1);
  return middle <= Math.sqrt(variance / differences.length);
}
