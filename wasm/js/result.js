// @ts-check
/** The object that describes one scored image: schema "nac.result/1". */
import { baselineThresholds } from './baselines.js';

/**
 * @typedef {{ label: string, classIndex: number, probability: number }} Prediction
 * @typedef {{ decode: number, preprocess: number, forward: number, backward: number, score: number }} Milliseconds
 * @typedef {{ neuron: number, coverage: number, state: number, z: number, g: number, bin: number }} Neuron
 * @typedef {{ name: string, neurons: Neuron[], coverage: Float32Array, map: { width: number, height: number, values: Float32Array } | null }} LayerExplanation
 * @typedef {{ layers: LayerExplanation[], view: { width: number, height: number, pixels: Uint8Array } }} Explanation
 */

/**
 * @typedef {object} Judgement
 * @property {'in' | 'out'} verdict
 * @property {number} threshold "out" means score < threshold
 * @property {number} pValue
 */

/**
 * @typedef {object} Result
 * @property {'nac.result/1'} schema
 * @property {string} file
 * @property {'in' | 'out' | null} verdict null when the profile is not calibrated, as are the next three
 * @property {number} score 0..1, high = in-distribution
 * @property {number | null} threshold "out" means score < threshold
 * @property {number | null} pValue
 * @property {Judgement | null} byClass against the calibration images that were taken for the same class; null where those are too few
 * @property {string} label
 * @property {number} classIndex
 * @property {number} probability
 * @property {Prediction[]} top
 * @property {{ name: string, neurons: number, score: number }[]} layers
 * @property {{ msp: number, energy: number, maxLogit: number }} baselines
 * @property {{ msp: number | null, energy: number | null, maxLogit: number | null } | null} baselineThresholds at the profile's rate of
 *   false alarms; null where the profile has none
 * @property {Milliseconds} ms
 * @property {'core' | 'browser'} decoder
 * @property {string} variant
 * @property {Explanation} [explanation]
 */

const TOP = 5;

/**
 * @param {string[] | undefined} labels
 * @param {number} classIndex
 */
function labelOf(labels, classIndex) {
  return labels?.[classIndex] ?? `class ${classIndex}`;
}

/**
 * The most probable classes, most probable first; of equals the smaller index.
 * @param {Float32Array} probabilities
 * @param {string[] | undefined} labels
 * @returns {Prediction[]}
 */
function topPredictions(probabilities, labels) {
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  return order.slice(0, TOP).map((classIndex) => ({ label: labelOf(labels, classIndex), classIndex, probability: probabilities[classIndex] }));
}

/**
 * @param {import('./engine/profile.js').Profile} profile
 * @param {number} classIndex
 * @param {number} score
 * @returns {Judgement | null}
 */
function judgeByClass(profile, classIndex, score) {
  const threshold = profile.classThreshold(classIndex);
  if (Number.isNaN(threshold)) return null;
  return { verdict: score < threshold ? 'out' : 'in', threshold, pValue: profile.classPValue(classIndex, score) };
}

/**
 * The result with the verdict of the predicted class, where there is one.
 * @template {{ byClass: Judgement | null }} R
 * @param {R} result
 * @returns {R}
 */
export function preferClass(result) {
  return { ...result, ...result.byClass };
}

/**
 * @param {object} measured
 * @param {import('./engine/profile.js').Profile} measured.profile
 * @param {string[] | undefined} measured.labels
 * @param {number} measured.score
 * @param {Float32Array} measured.layerScores
 * @param {{ msp: number, energy: number, maxLogit: number, probabilities: Float32Array }} measured.baselines
 * @param {Milliseconds} measured.ms
 * @param {'core' | 'browser'} measured.decoder
 * @param {string} measured.variant
 * @param {Explanation} [measured.explanation]
 * @returns {Result}
 */
export function makeResult({ profile, labels, score, layerScores, baselines, ms, decoder, variant, explanation }) {
  const { threshold, calibrated } = profile;
  const top = topPredictions(baselines.probabilities, labels);
  return {
    schema: 'nac.result/1',
    file: '',
    verdict: calibrated ? (score < threshold ? 'out' : 'in') : null,
    score,
    threshold: calibrated ? threshold : null,
    pValue: calibrated ? profile.pValue(score) : null,
    byClass: judgeByClass(profile, top[0].classIndex, score),
    ...top[0],
    top,
    layers: profile.layers.map(({ name, neurons }, i) => ({ name, neurons, score: layerScores[i] })),
    baselines: { msp: baselines.msp, energy: baselines.energy, maxLogit: baselines.maxLogit },
    baselineThresholds: baselineThresholds(profile),
    ms,
    decoder,
    variant,
    ...(explanation && { explanation }),
  };
}
