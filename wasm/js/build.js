// @ts-check
/** Building a profile: states of in-distribution images are counted, and held-out ones calibrate the threshold. */
import { openPool, prepareImage } from './detector.js';
import { Engine } from './engine.js';
import { POOLS } from './engine/model.js';
import { NacError } from './error.js';
import { expandSprites, nameOf } from './images.js';
import { inOrder } from './pool.js';
import { holdOut } from './subset.js';

/** @typedef {import('./images.js').ImageInput} ImageInput */
/** @typedef {{ name: string, neurons: number, pool: import('./engine.js').Pool }} TapShape */
/** @typedef {{ taps: TapShape[], z: Float32Array[], g: Float32Array[], hash: bigint }} States */

/**
 * @typedef {object} BuildOptions
 * @property {import('./detector.js').Source} model
 * @property {Iterable<ImageInput> | AsyncIterable<ImageInput>} images in-distribution; right and wrong classified ones alike
 * @property {Iterable<ImageInput> | AsyncIterable<ImageInput>} [holdout] images for the threshold, none of which is in `images`
 * @property {number} [holdoutFraction] without holdout: the share of `images` to hold out, 0.2; 0: no threshold
 * @property {'auto' | (string | import('./engine.js').Tap)[]} [layers] "name", "name=KIND" or { name, pool }
 * @property {string | object} [preprocess] a preset's name or its JSON form
 * @property {number[]} [alpha] one a layer, or one for all; chosen from the data without it, see chooseAlpha
 * @property {number[]} [bins] M: edges, even; 50
 * @property {number[]} [fill] O: images that fill a bin; a twentieth of all
 * @property {number} [falseAlarm] share of in-distribution images that the threshold flags, 0.05
 * @property {string[]} [labels] in the model's order; the model's own without it
 * @property {Record<string, any>} [provenance] kept in the profile, beside the number of images
 * @property {string} [modelName] kept in the profile
 * @property {number} [total] images of all shards, where `images` is one shard
 * @property {number} [seed] of the choice of held-out images
 * @property {(file: string, error: Error) => void} [onError] an image that cannot be read; without it building ends
 */

// Images whose states are kept until alpha is chosen from them.
const SAMPLE = 4096;
const BATCH = 64;
// See chooseAlpha.
const ALPHA_QUANTILE = 0.9;
const FILL = 0.05;
const BINS = 50;

/**
 * Taps as people write them: "name" or "name=KIND".
 * @param {'auto' | (string | import('./engine.js').Tap)[] | undefined} layers
 * @returns {import('./engine.js').Tap[]} empty for "auto"
 */
export function parseLayers(layers) {
  if (layers === undefined || layers === 'auto') return [];
  if (!Array.isArray(layers)) throw new NacError('INVALID_ARGUMENT', 'layers is "auto" or an array of names');
  return layers.map((layer) => {
    if (typeof layer !== 'string') return { name: layer.name, pool: layer.pool ?? 'sum' };
    const match = /^(.+)=([a-z]+)$/.exec(layer);
    const pool = /** @type {any} */ (match?.[2]);
    // A tensor's name may hold '=' itself.
    return match && POOLS.includes(pool) ? { name: match[1], pool } : { name: layer, pool: 'sum' };
  });
}

/**
 * Steepness of a layer's sigmoid: 1 over the 0.9-quantile of |Z G|, zeroes (dead units) left out. Then nine states in ten
 * lie between sigmoid(-1) = 0.27 and sigmoid(1) = 0.73, where bins are narrow, and the others have the wide ones. A search
 * with outliers (`nac tune`) finds better ones; this needs no outliers.
 * @param {Float32Array[]} z
 * @param {Float32Array[]} g
 */
export function chooseAlpha(z, g) {
  const products = [];
  for (let n = 0; n < z.length; ++n)
    for (let c = 0; c < z[n].length; ++c) {
      const product = Math.abs(z[n][c] * g[n][c]);
      if (product > 0 && Number.isFinite(product)) products.push(product);
    }
  if (products.length === 0) return 1;
  const sorted = Float64Array.from(products).sort();
  // Two digits: the rest would say nothing, and an alpha is read by people.
  return Number((1 / sorted[Math.floor((sorted.length - 1) * ALPHA_QUANTILE)]).toPrecision(2));
}

/**
 * @param {number[] | undefined} values
 * @param {number} layers
 * @param {string} name
 * @param {(layer: number) => number} otherwise
 */
function perLayer(values, layers, name, otherwise) {
  if (!values) return Array.from({ length: layers }, (_, layer) => otherwise(layer));
  if (values.length !== layers && values.length !== 1)
    throw new NacError('INVALID_ARGUMENT', `${name} has ${values.length} values, but there are ${layers} layers`);
  return Array.from({ length: layers }, (_, layer) => values[values.length === 1 ? 0 : layer]);
}

/** Collects states, and counts them once the layers' alphas are known. */
class Collector {
  /** @type {States[]} */
  #waiting = [];
  /** @type {import('./engine/profile.js').Profile | undefined} */
  profile;
  count = 0;

  /**
   * @param {Engine} engine
   * @param {BuildOptions} options
   * @param {number | null} total images to come, null when that is not known
   */
  constructor(engine, options, total) {
    this.engine = engine;
    this.options = options;
    this.total = total;
  }

  /** @param {States} states */
  add(states) {
    this.#waiting.push(states);
    ++this.count;
    if (this.#waiting.length >= (this.profile ? BATCH : SAMPLE)) this.flush(this.total);
  }

  /** @param {number | null} total */
  flush(total) {
    this.profile ??= this.#createProfile(total);
    const { layers } = this.profile;
    for (let start = 0; start < this.#waiting.length; start += BATCH) {
      const batch = this.#waiting.slice(start, start + BATCH);
      const join = (/** @type {'z' | 'g'} */ what) =>
        layers.map(({ neurons }, layer) => {
          const all = new Float32Array(batch.length * neurons);
          batch.forEach((states, n) => all.set(states[what][layer], n * neurons));
          return all;
        });
      this.profile.add(batch.length, join('z'), join('g'));
      this.profile.addHashes(batch.map(({ hash }) => hash), 'profile');
    }
    this.#waiting = [];
  }

  /** @param {number | null} total */
  #createProfile(total) {
    if (this.#waiting.length === 0) throw new NacError('INVALID_ARGUMENT', 'there is no image to build a profile from');
    const { alpha, bins, fill } = this.options;
    if (!fill && total === null) throw new NacError('INVALID_ARGUMENT', 'fill is needed where the number of images is not known beforehand');
    const { taps } = this.#waiting[0];
    const all = (/** @type {'z' | 'g'} */ what, /** @type {number} */ layer) => this.#waiting.map((states) => states[what][layer]);
    const alphas = perLayer(alpha, taps.length, 'alpha', (layer) => chooseAlpha(all('z', layer), all('g', layer)));
    const M = perLayer(bins, taps.length, 'bins', () => BINS);
    const O = perLayer(fill, taps.length, 'fill', () => Math.max(1, Math.round(FILL * /** @type {number} */ (total))));
    return this.engine.createProfile(taps.map((tap, layer) => ({ ...tap, alpha: alphas[layer], M: M[layer], O: O[layer] })));
  }
}

/**
 * Images for the profile, images for the threshold, and the number of the former where it is known.
 * @param {BuildOptions} options
 */
async function divide({ images, holdout, holdoutFraction = 0.2, seed = 0, total }) {
  if (!(holdoutFraction >= 0 && holdoutFraction < 1)) throw new NacError('INVALID_ARGUMENT', `holdoutFraction ${holdoutFraction} is not in [0, 1)`);
  if (holdout || holdoutFraction === 0) {
    const known = total ?? (Array.isArray(images) ? images.length : null);
    return { images: expandSprites(images), holdout: expandSprites(holdout ?? []), total: known };
  }
  const all = [];
  for await (const image of expandSprites(images)) all.push(image);
  const { kept, held } = holdOut(all, holdoutFraction, seed);
  return { images: kept, holdout: held, total: total ?? kept.length };
}

/**
 * @param {import('./host.js').Host} host
 * @param {BuildOptions & import('./detector.js').CommonOptions} options
 * @returns {Promise<{ bytes: Uint8Array, summary: Record<string, any> }>}
 */
export async function build(host, options) {
  const { signal, onProgress, onError, falseAlarm = 0.05 } = options;
  const parts = await divide(options);
  const taps = parseLayers(options.layers);
  const opened = await openPool(host, { ...options, profile: undefined, taps, preprocess: options.preprocess ?? 'imagenet' });
  const { pool, info, module, sha256 } = opened;
  try {
    const engine = await Engine.create(module);
    const decode = (/** @type {Uint8Array} */ bytes) => pool.run({ kind: 'decode', bytes });
    let loaded = 0;
    const work = async (/** @type {ImageInput} */ input) => {
      try {
        const { image, transfer } = await prepareImage(host, input, decode);
        return /** @type {States} */ (await pool.run({ kind: 'states', image, hash: true }, { signal, transfer }));
      } catch (error) {
        signal?.throwIfAborted();
        if (!onError || !(error instanceof NacError) || error.code === 'CLOSED') throw error;
        onError(nameOf(input), error);
        return null;
      } finally {
        onProgress?.({ stage: 'images', loaded: ++loaded, total: null });
      }
    };

    const collector = new Collector(engine, options, parts.total);
    for await (const states of inOrder(parts.images, work, 2 * pool.size)) if (states) collector.add(states);
    collector.flush(parts.total ?? collector.count);
    const profile = /** @type {import('./engine/profile.js').Profile} */ (collector.profile);

    const scores = [];
    const hashes = [];
    let repeated = 0;
    for await (const states of inOrder(parts.holdout, work, 2 * pool.size)) {
      if (!states) continue;
      // An image cannot say how familiar strangers are when the profile knows it.
      if (profile.use(states.hash)) ++repeated;
      else {
        scores.push(profile.score(1, states.z, states.g).scores[0]);
        hashes.push(states.hash);
      }
    }
    if (scores.length > 0) {
      profile.calibrate(Float32Array.from(scores), falseAlarm);
      profile.addHashes(hashes, 'calibration');
    }
    profile.setMetadata('model', { name: options.modelName ?? nameOf(options.model) ?? '', sha256 });
    profile.setMetadata('preprocess', info.preprocess);
    const labels = options.labels ?? info.labels;
    if (labels) profile.setMetadata('labels', labels);
    profile.setMetadata('provenance', { images: profile.images, ...options.provenance });
    const summary = { images: profile.images, calibration: scores.length, repeated, layers: profile.layers, ...thresholdOf(profile) };
    return { bytes: profile.save(), summary };
  } finally {
    pool.close();
  }
}

/** @param {import('./engine/profile.js').Profile} profile */
function thresholdOf(profile) {
  return { threshold: profile.calibrated ? profile.threshold : null, falseAlarm: profile.calibrated ? profile.falseAlarm : null };
}
