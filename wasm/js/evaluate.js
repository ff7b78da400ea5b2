// @ts-check
/** How well a detector's scores, and the baselines', tell in-distribution from other images. */
import { NacError } from './error.js';
import { nameOf } from './images.js';
import { inOrder } from './pool.js';

/**
 * @typedef {import('./detector.js').Detector} Detector
 * @typedef {import('./images.js').ImageInput} ImageInput
 * @typedef {'nac' | 'msp' | 'energy' | 'maxLogit'} Method
 * @typedef {Record<Method, Float32Array>} Scores one an image
 * @typedef {{ images: number, seen: number, flagged: number | null, accuracy?: number, scores: Scores }} ScoredSet
 *   seen: left out, because the profile knows them; flagged: share of "out"; accuracy: where every image is in a label's folder
 * @typedef {import('./engine/statistics.js').Metrics & { ci: Record<string, [number, number]> }} Measured
 */

export const METHODS = /** @type {Method[]} */ (['nac', 'msp', 'energy', 'maxLogit']);

/**
 * Scores a set. Images that the profile was built or calibrated on end it, because their scores prove nothing; with `dropSeen`
 * they are left out.
 * @param {Detector} detector
 * @param {Iterable<ImageInput> | AsyncIterable<ImageInput>} images
 * @param {{ dropSeen?: boolean, signal?: AbortSignal, onError?: (file: string, error: Error) => void, onProgress?: () => void }} [options]
 *   onError: an image that cannot be read; without it the evaluation ends there
 * @returns {Promise<ScoredSet>}
 */
export async function scoreSet(detector, images, { dropSeen = false, signal, onError, onProgress } = {}) {
  const work = async (/** @type {any} */ image) => {
    try {
      return { image, ...(await detector.scoreTask(image, { hash: true, signal })) };
    } catch (error) {
      signal?.throwIfAborted();
      if (!onError || !(error instanceof NacError) || error.code === 'CLOSED') throw error;
      onError(nameOf(image), error);
      return null;
    }
  };
  /** @type {Record<Method, number[]>} */
  const scores = { nac: [], msp: [], energy: [], maxLogit: [] };
  const labels = new Set(detector.info.labels ?? []);
  let [seen, out, known, right] = [0, 0, 0, 0];
  for await (const scored of inOrder(images, work, detector.window)) {
    onProgress?.();
    if (!scored) continue;
    const { image, result, use } = scored;
    if (use && !dropSeen)
      throw new NacError('MISMATCH', `${nameOf(image)}: the profile was ${use === 'profile' ? 'built' : 'calibrated'} on this image, so its score proves nothing`);
    if (use) {
      ++seen;
      continue;
    }
    scores.nac.push(result.score);
    scores.msp.push(result.baselines.msp);
    scores.energy.push(result.baselines.energy);
    scores.maxLogit.push(result.baselines.maxLogit);
    if (result.verdict === 'out') ++out;
    if (!labels.has(image.group)) continue;
    ++known;
    if (result.label === image.group) ++right;
  }
  const count = scores.nac.length;
  return {
    images: count,
    seen,
    flagged: detector.info.profile.threshold === null || count === 0 ? null : out / count,
    accuracy: count > 0 && known === count ? right / count : undefined,
    scores: /** @type {Scores} */ (Object.fromEntries(METHODS.map((method) => [method, Float32Array.from(scores[method])]))),
  };
}

/**
 * Every method's metrics with the central 95 % of resampled ones; in a worker of the detector's, because it takes a while.
 * @param {Detector} detector
 * @param {Scores} id
 * @param {Scores} ood
 * @param {{ rounds?: number, seed?: number, signal?: AbortSignal }} [options]
 * @returns {Promise<Record<Method, Measured>>}
 */
export async function compareSets(detector, id, ood, { rounds = 1000, seed = 0, signal } = {}) {
  const measured = await Promise.all(METHODS.map((method) => detector.metrics(id[method], ood[method], { rounds, seed, signal })));
  return /** @type {Record<Method, Measured>} */ (Object.fromEntries(METHODS.map((method, i) => [method, measured[i]])));
}
