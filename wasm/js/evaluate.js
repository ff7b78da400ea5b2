// @ts-check
/** How well a detector's scores, and the baselines', tell in-distribution from other images. */
import { NacError } from './error.js';
import { nameOf } from './images.js';
import { inOrder } from './pool.js';

/**
 * @typedef {import('./detector.js').Detector} Detector
 * @typedef {import('./images.js').ImageInput} ImageInput
 * @typedef {Record<string, Float32Array>} Scores by method, one an image: nac, msp, maxLogit, energy, entropy, gen; gradNorm where the
 *   profile has the classifier's input; those of the references. What each one is, nac.h says; all are high = in-distribution
 * @typedef {{ layer: string, classifierInput: boolean }} FeatureLayer where feature baselines look
 * @typedef {{ images: number, seen: number, flagged: number | null, accuracy?: number, features?: FeatureLayer, scores: Scores }} ScoredSet
 *   seen: left out, because the profile knows them; flagged: share of "out"; accuracy: where every image is in a label's folder
 * @typedef {import('./engine/statistics.js').Metrics & { ci: Record<string, [number, number]> }} Measured
 * @typedef {{ signal?: AbortSignal, onError?: (file: string, error: Error) => void, onProgress?: () => void }} RunOptions
 *   onError: an image that cannot be read; without it the run ends there
 * @typedef {import('./runner.js').Features & { result: import('./result.js').Result, hash: bigint, use: 'profile' | 'calibration' | null }} Scored
 */

/**
 * In-distribution images that features are compared with.
 * @typedef {object} References
 * @property {(hash: bigint) => boolean} has whether an image is one of them
 * @property {(images: Scored[]) => Record<string, ArrayLike<number>>} score by method, one an image
 */

// Images that are compared with the references at once: they share the passes over them.
const BATCH = 64;

/**
 * Does `task` on every image, on all workers; yields in the images' order.
 * @template {ImageInput} I
 * @template T
 * @param {Detector} detector
 * @param {Iterable<I> | AsyncIterable<I>} images
 * @param {(image: I) => Promise<T>} task
 * @param {RunOptions} options
 * @returns {AsyncGenerator<T & { image: I }, void, undefined>}
 */
async function* onEach(detector, images, task, { signal, onError, onProgress }) {
  const work = async (/** @type {I} */ image) => {
    try {
      return { image, ...(await task(image)) };
    } catch (error) {
      signal?.throwIfAborted();
      if (!onError || !(error instanceof NacError) || error.code === 'CLOSED') throw error;
      onError(nameOf(image), error);
      return null;
    }
  };
  for await (const done of inOrder(images, work, detector.window)) {
    onProgress?.();
    if (done) yield done;
  }
}

/**
 * Everything that one run of the network says of each image.
 * @template {ImageInput} I
 * @param {Detector} detector
 * @param {Iterable<I> | AsyncIterable<I>} images
 * @param {RunOptions} [options]
 * @returns {AsyncGenerator<Scored & { image: I }, void, undefined>}
 */
export function scoreEach(detector, images, options = {}) {
  const { signal } = options;
  return onEach(detector, images, (image) => /** @type {Promise<any>} */ (detector.scoreTask(image, { hash: true, features: true, signal })), options);
}

/**
 * The first `limit` images that the profile was built on, found without running the network.
 * @template {ImageInput} I
 * @param {Detector} detector
 * @param {Iterable<I> | AsyncIterable<I>} images
 * @param {{ limit?: number } & RunOptions} [options]
 */
export async function profileImages(detector, images, { limit = Infinity, ...options } = {}) {
  /** @type {I[]} */
  const found = [];
  for await (const { image, use } of onEach(detector, images, (one) => detector.hashTask(one, options), options)) {
    if (use === 'profile') found.push(image);
    if (found.length === limit) break;
  }
  return found;
}

/** Scores of many images by method. */
export class ScoreTable {
  #references;
  /** @type {Record<string, number[]>} */
  #scores = {};
  /** @type {Scored[]} */
  #waiting = [];
  count = 0;

  /** @param {References} [references] */
  constructor(references) {
    this.#references = references;
  }

  /** @param {Scored} scored */
  add(scored) {
    for (const [method, score] of Object.entries(scored.methods)) (this.#scores[method] ??= []).push(score);
    ++this.count;
    if (!this.#references) return;
    this.#waiting.push(scored);
    if (this.#waiting.length === BATCH) this.#flush();
  }

  #flush() {
    if (!this.#references || this.#waiting.length === 0) return;
    for (const [method, scores] of Object.entries(this.#references.score(this.#waiting))) (this.#scores[method] ??= []).push(...Array.from(scores));
    this.#waiting = [];
  }

  /** @returns {Scores} */
  finish() {
    this.#flush();
    return Object.fromEntries(Object.entries(this.#scores).map(([method, scores]) => [method, Float32Array.from(scores)]));
  }
}

/**
 * Scores a set. Images that the profile was built or calibrated on, or that are among the references, end it, because their scores
 * prove nothing; with `dropSeen` they are left out.
 * @param {Detector} detector
 * @param {Iterable<ImageInput> | AsyncIterable<ImageInput>} images
 * @param {{ dropSeen?: boolean, references?: References } & RunOptions} [options]
 * @returns {Promise<ScoredSet>}
 */
export async function scoreSet(detector, images, { dropSeen = false, references, ...options } = {}) {
  const table = new ScoreTable(references);
  const labels = new Set(detector.info.labels ?? []);
  let [seen, out, known, right] = [0, 0, 0, 0];
  /** @type {FeatureLayer | undefined} */
  let features;
  for await (const scored of scoreEach(detector, images, options)) {
    const { image, result, layer } = scored;
    const why = reasonToRefuse(scored, references);
    if (why && !dropSeen) throw new NacError('MISMATCH', `${nameOf(image)}: ${why}, so its score proves nothing`);
    if (why) {
      ++seen;
      continue;
    }
    table.add(scored);
    features = { layer: layer.name, classifierInput: layer.classifierInput };
    if (result.verdict === 'out') ++out;
    const group = /** @type {{ group?: string }} */ (image).group ?? '';
    if (!labels.has(group)) continue;
    ++known;
    if (result.label === group) ++right;
  }
  const { count } = table;
  return {
    images: count,
    seen,
    flagged: detector.info.profile.threshold === null || count === 0 ? null : out / count,
    accuracy: count > 0 && known === count ? right / count : undefined,
    features,
    scores: table.finish(),
  };
}

/** @param {Scored} scored @param {References} [references] */
function reasonToRefuse({ use, hash }, references) {
  if (use) return `the profile was ${use === 'profile' ? 'built' : 'calibrated'} on this image`;
  return references?.has(hash) ? 'it is among the references' : null;
}

/**
 * Metrics of every method that both have, with the central 95 % of resampled ones; in the detector's workers, because it takes a while.
 * @param {Detector} detector
 * @param {Scores} id
 * @param {Scores} ood
 * @param {{ rounds?: number, seed?: number, signal?: AbortSignal }} [options]
 * @returns {Promise<Record<string, Measured>>}
 */
export async function compareSets(detector, id, ood, { rounds = 1000, seed = 0, signal } = {}) {
  const methods = Object.keys(id).filter((method) => ood[method]);
  const measured = await Promise.all(methods.map((method) => detector.metrics(id[method], ood[method], { rounds, seed, signal })));
  return Object.fromEntries(methods.map((method, i) => [method, measured[i]]));
}
