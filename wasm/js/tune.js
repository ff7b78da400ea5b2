// @ts-check
/**
 * The search for alpha, M and O of every layer that part in-distribution from out-of-distribution images best (mean AUROC
 * over the sets). Counts depend on a layer, alpha and M alone, O is free, and an image's score is the mean of its layers':
 * so scores of every candidate are computed once, and combinations are sums. No network runs here.
 */
import { chooseAlpha, chooseFill, joinStates } from './collector.js';

/**
 * @typedef {import('./states.js').States} States
 * @typedef {import('./engine.js').Engine} Engine
 * @typedef {{ alpha: number, M: number, O: number, id: Float32Array, ood: Float32Array[] }} Candidate scores of one layer
 */

// Around chooseAlpha's, in half decades.
const ALPHA_FACTORS = [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2].map((exponent) => 10 ** exponent);
const BINS = [50, 100, 500, 1000];
// Around chooseFill's. The last caps a layer's score below 1, so it counts for less among the others.
const FILL_FACTORS = [0.02, 0.1, 0.3, 1, 3, 10, 50];
// Of each layer, the best alone; the search of combinations is among them.
const KEPT = 60;
const ROUNDS = 4;

/**
 * @param {Engine} engine
 * @param {{ profile: States[], id: States[], ood: States[][] }} data
 *   profile: states to count; id and ood: states to part; disjoint from each other
 * @param {{ onProgress?: (done: number, total: number) => void }} [options]
 */
export function tune(engine, data, { onProgress } = {}) {
  const layers = data.profile[0].taps.length;
  /** @type {(Candidate & { isDefault: boolean })[][]} */
  const candidates = [];
  for (let layer = 0; layer < layers; ++layer) {
    candidates.push(bestAlone(engine, candidatesOf(engine, data, layer)));
    onProgress?.(layer + 1, layers);
  }
  const plain = candidates.map((list) => list.find(({ isDefault }) => isDefault) ?? list[0]);
  // From two starts, so that what comes out is never worse than the defaults.
  const ends = [candidates.map((list) => list[0]), plain].map((start) => combine(engine, candidates, start));
  const chosen = aurocOf(engine, ends[0]) >= aurocOf(engine, ends[1]) ? ends[0] : ends[1];
  return {
    settings: {
      alpha: chosen.map(({ alpha }) => alpha),
      bins: chosen.map(({ M }) => M),
      fill: chosen.map(({ O }) => O),
    },
    auroc: aurocOf(engine, chosen),
    aurocOfDefaults: aurocOf(engine, plain),
    alone: chosen.map((candidate) => aurocOf(engine, [candidate])),
  };
}

/**
 * @param {Engine} engine
 * @param {{ profile: States[], id: States[], ood: States[][] }} data
 * @param {number} layer
 */
function candidatesOf(engine, { profile, id, ood }, layer) {
  const base = chooseAlpha(profile.map(({ z }) => z[layer]), profile.map(({ g }) => g[layer]));
  const fill = chooseFill(profile.length);
  const fills = [...new Set(FILL_FACTORS.map((factor) => Math.max(1, Math.round(fill * factor))))];
  const join = (/** @type {States[]} */ states) => ({ z: joinStates(states, 'z', layer), g: joinStates(states, 'g', layer) });
  const [counted, inside, outside] = [join(profile), join(id), ood.map(join)];
  const { neurons } = profile[0].taps[layer];
  /** @type {(Candidate & { isDefault: boolean })[]} */
  const candidates = [];
  for (const factor of ALPHA_FACTORS)
    for (const M of BINS) {
      const alpha = Number((base * factor).toPrecision(2));
      const coverage = engine.createCoverage({ neurons, alpha, M });
      coverage.add(counted.z, counted.g);
      const idScores = coverage.score(inside.z, inside.g, fills);
      const oodScores = outside.map(({ z, g }) => coverage.score(z, g, fills));
      fills.forEach((O, i) => {
        const isDefault = factor === 1 && M === BINS[0] && O === fill;
        candidates.push({ alpha, M, O, id: idScores[i], ood: oodScores.map((scores) => scores[i]), isDefault });
      });
      coverage.close();
    }
  return candidates;
}

/**
 * The default stays among them, to be compared with.
 * @template {Candidate & { isDefault: boolean }} C
 * @param {Engine} engine
 * @param {C[]} candidates
 */
function bestAlone(engine, candidates) {
  const rated = candidates.map((candidate) => ({ candidate, auroc: aurocOf(engine, [candidate]) }));
  rated.sort((a, b) => b.auroc - a.auroc);
  return rated.filter(({ candidate }, i) => i < KEPT || candidate.isDefault).map(({ candidate }) => candidate);
}

/**
 * One layer after another takes what goes best with the others' choices, until nothing changes.
 * @template {Candidate} C
 * @param {Engine} engine
 * @param {C[][]} candidates
 * @param {C[]} start one of each layer's
 */
function combine(engine, candidates, start) {
  const chosen = [...start];
  let best = aurocOf(engine, chosen);
  for (let round = 0; round < ROUNDS; ++round) {
    let changed = false;
    candidates.forEach((list, layer) => {
      for (const candidate of list) {
        const trial = chosen.with(layer, candidate);
        const auroc = aurocOf(engine, trial);
        if (auroc <= best) continue;
        best = auroc;
        chosen[layer] = candidate;
        changed = true;
      }
    });
    if (!changed) break;
  }
  return chosen;
}

/**
 * Mean over the sets of the AUROC of the layers' summed scores.
 * @param {Engine} engine
 * @param {Candidate[]} layers
 */
function aurocOf(engine, layers) {
  const sum = (/** @type {Float32Array[]} */ scores) => scores[0].map((_, n) => scores.reduce((total, one) => total + one[n], 0));
  const id = sum(layers.map((layer) => layer.id));
  const sets = layers[0].ood.map((_, set) => engine.metrics(id, sum(layers.map((layer) => layer.ood[set]))).auroc);
  return sets.reduce((a, b) => a + b, 0) / sets.length;
}
