// @ts-check
/** States to a profile: settings of the layers where none are given, counts, threshold. */
import { calibrateBaselines } from './baselines.js';
import { NacError } from './error.js';
import { makeSelfTest, testImage } from './selftest.js';

/** @typedef {import('./states.js').States} States */
/** @typedef {import('./engine/profile.js').Profile} Profile */
/** @typedef {{ alpha?: number[], bins?: number[], fill?: number[] }} Settings one value a layer, or one for all */

// Images whose states are kept until alpha is chosen from them.
const SAMPLE = 4096;
const BATCH = 64;
const ALPHA_QUANTILE = 0.7;
const FILL = 0.05;
export const BINS = 50;

/**
 * Steepness of a layer's sigmoid: 1 over the 0.7-quantile of |Z G|, zeroes (dead units) left out. Then seven states in ten lie
 * between sigmoid(-1) = 0.27 and sigmoid(1) = 0.73, where bins are narrow, and the rest reaches into the wide ones. Measured with a
 * ResNet-18 of half width on CIFAR-10 against MNIST and Fashion-MNIST (AUROC, the published M = 50): quantile 0.5 89 and 90, 0.7 92 and
 * 94, 0.8 93 and 96, 0.9 75 and 80. So this keeps away from the cliff. A search (`nac tune`) finds better ones for one kind of
 * outliers; this knows of none.
 * @param {Float32Array} z of any number of images
 * @param {Float32Array} g
 */
export function chooseAlpha(z, g) {
  return alphasOfQuantiles(z, g, [ALPHA_QUANTILE])[0];
}

/**
 * 1 over quantiles of |Z G|.
 * @param {Float32Array} z
 * @param {Float32Array} g
 * @param {number[]} quantiles 0..1
 */
export function alphasOfQuantiles(z, g, quantiles) {
  const products = z.map((value, i) => Math.abs(value * g[i])).filter((product) => product > 0 && Number.isFinite(product)).sort();
  if (products.length === 0) return quantiles.map(() => 1);
  // Two digits: the rest would say nothing, and an alpha is read by people.
  return quantiles.map((quantile) => Number((1 / products[Math.floor((products.length - 1) * quantile)]).toPrecision(2)));
}

/** Images that fill a bin: a twentieth of all, which is twice what an even spread over 50 bins would give each.
 * @param {number} images
 */
export function chooseFill(images) {
  return Math.max(1, Math.round(FILL * images));
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

/** [N, neurons] of N images' states of one layer.
 * @param {States[]} states
 * @param {'z' | 'g'} what
 * @param {number} layer
 */
export function joinStates(states, what, layer) {
  const neurons = states[0][what][layer].length;
  const all = new Float32Array(states.length * neurons);
  states.forEach((one, n) => all.set(one[what][layer], n * neurons));
  return all;
}

/**
 * The states of some layers alone, in their order: a profile may have fewer than there are taps.
 * @param {States} states
 * @param {{ name: string }[]} layers
 * @returns {States}
 */
export function statesOfLayers(states, layers) {
  const taps = layers.map(({ name }) => states.taps.findIndex((tap) => tap.name === name));
  const pick = (/** @type {any[]} */ all) => taps.map((tap) => all[tap]);
  return { ...states, taps: pick(states.taps), z: pick(states.z), g: pick(states.g) };
}

/** Counts states, from the moment on that the layers' alphas are known. */
export class Collector {
  /** @type {States[]} */
  #waiting = [];
  /** @type {Profile | undefined} */
  #profile;
  #count = 0;

  /**
   * @param {import('./engine.js').Engine} engine
   * @param {Settings} settings
   * @param {number | null} total images to come, null when that is not known
   */
  constructor(engine, settings, total) {
    this.engine = engine;
    this.settings = settings;
    this.total = total;
  }

  /** @param {States} states */
  add(states) {
    this.#waiting.push(states);
    ++this.#count;
    if (this.#waiting.length >= (this.#profile ? BATCH : SAMPLE)) this.#flush(this.total);
  }

  /** @returns {Profile} of all states that were added */
  finish() {
    return this.#flush(this.total ?? this.#count);
  }

  /** @param {number | null} total */
  #flush(total) {
    const profile = (this.#profile ??= this.#createProfile(total));
    for (let start = 0; start < this.#waiting.length; start += BATCH) {
      const batch = this.#waiting.slice(start, start + BATCH);
      const join = (/** @type {'z' | 'g'} */ what) => profile.layers.map((_, layer) => joinStates(batch, what, layer));
      profile.add(batch.length, join('z'), join('g'));
      profile.addHashes(batch.map(({ hash }) => hash), 'profile');
    }
    this.#waiting = [];
    return profile;
  }

  /** @param {number | null} total */
  #createProfile(total) {
    if (this.#waiting.length === 0) throw new NacError('INVALID_ARGUMENT', 'there is no image to build a profile from');
    const { alpha, bins, fill } = this.settings;
    if (!fill && total === null) throw new NacError('INVALID_ARGUMENT', 'fill is needed where the number of images is not known beforehand');
    const { taps } = this.#waiting[0];
    const all = (/** @type {'z' | 'g'} */ what, /** @type {number} */ layer) => joinStates(this.#waiting, what, layer);
    const alphas = perLayer(alpha, taps.length, 'alpha', (layer) => chooseAlpha(all('z', layer), all('g', layer)));
    const M = perLayer(bins, taps.length, 'bins', () => BINS);
    const O = perLayer(fill, taps.length, 'fill', () => chooseFill(/** @type {number} */ (total)));
    return this.engine.createProfile(taps.map((tap, layer) => ({ ...tap, alpha: alphas[layer], M: M[layer], O: O[layer] })));
  }
}

/** The index of the first of the largest values: the class that logits predict.
 * @param {Float32Array} values
 */
export function argMax(values) {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
}

/**
 * Sets the threshold by held-out states. Those of images that the profile knows are left out: an image cannot say how
 * familiar strangers are when it is none.
 * @param {import('./engine.js').Engine} engine
 * @param {Profile} profile
 * @param {Iterable<States> | AsyncIterable<States>} held
 * @param {number} falseAlarm
 */
export async function calibrate(engine, profile, held, falseAlarm) {
  const scores = [];
  const classes = [];
  const baselines = [];
  const hashes = [];
  let repeated = 0;
  for await (const { z, g, logits, hash } of held) {
    if (profile.use(hash) === 'profile') {
      ++repeated;
      continue;
    }
    scores.push(profile.score(1, z, g).scores[0]);
    classes.push(argMax(logits));
    baselines.push(engine.baselines(logits));
    hashes.push(hash);
  }
  if (scores.length > 0) {
    profile.calibrate(scores, classes, falseAlarm);
    calibrateBaselines(profile, baselines, falseAlarm);
    profile.addHashes(hashes, 'calibration');
  }
  return { calibration: scores.length, repeated };
}

/**
 * What a profile says of itself besides its counts.
 * @param {Profile} profile
 * @param {{ modelName: string, sha256: string, preprocess: any, labels?: string[], provenance?: Record<string, any> }} about
 */
export function describeProfile(profile, { modelName, sha256, preprocess, labels, provenance }) {
  profile.setMetadata('model', { name: modelName, sha256 });
  profile.setMetadata('preprocess', preprocess);
  if (labels) profile.setMetadata('labels', labels);
  profile.setMetadata('provenance', { images: profile.images, ...provenance });
}

/**
 * Runs the test image and keeps what it scores; after the last count, which would drop it.
 * @param {Profile} profile
 * @param {import('./states.js').AnyPool} pool
 */
export async function addSelfTest(profile, pool) {
  const { z, g, logits } = statesOfLayers(await pool.run({ kind: 'states', image: testImage() }), profile.layers);
  profile.setMetadata('selfTest', makeSelfTest(profile.score(1, z, g).scores[0], logits.reduce((a, b) => Math.max(a, b))));
}

/** @param {Profile} profile */
export function summarise(profile) {
  const { images, layers, calibrated, threshold, falseAlarm } = profile;
  return { images, layers, threshold: calibrated ? threshold : null, falseAlarm: calibrated ? falseAlarm : null };
}
