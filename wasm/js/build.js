// @ts-check
/** Building a profile: states of in-distribution images are counted, and held-out ones calibrate the threshold. */
import { Collector, addSelfTest, calibrate, describeProfile, summarise } from './collector.js';
import { openPool } from './detector.js';
import { Engine } from './engine.js';
import { POOLS } from './engine/model.js';
import { NacError } from './error.js';
import { expandSprites, nameOf } from './images.js';
import { divideModel } from './model-source.js';
import { collectStates } from './states.js';
import { holdOut } from './subset.js';

/** @typedef {import('./images.js').ImageInput} ImageInput */

/**
 * @typedef {object} BuildOptions
 * @property {import('./detector.js').ModelSource} model
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
    let loaded = 0;
    const report = () => onProgress?.({ stage: 'images', loaded: ++loaded, total: null });
    const statesOf = async function* (/** @type {Iterable<ImageInput> | AsyncIterable<ImageInput>} */ images) {
      for await (const { states } of collectStates(host, pool, images, { signal, onError, onProgress: report })) yield states;
    };

    const engine = await Engine.create(module);
    const collector = new Collector(engine, options, parts.total);
    for await (const states of statesOf(parts.images)) collector.add(states);
    const profile = collector.finish();
    const { calibration, repeated } = await calibrate(engine, profile, statesOf(parts.holdout), falseAlarm);
    describeProfile(profile, {
      modelName: options.modelName ?? nameOf(divideModel(options.model).model),
      sha256,
      preprocess: info.preprocess,
      labels: options.labels ?? info.labels,
      provenance: options.provenance,
    });
    await addSelfTest(profile, pool);
    return { bytes: profile.save(), summary: { ...summarise(profile), calibration, repeated } };
  } finally {
    pool.close();
  }
}
