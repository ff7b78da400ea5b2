// @ts-check
/** The detector: a model, its profile, and workers that score images. */
import { NacError } from './error.js';
import { expandSprites, isCoreFormat, loadImage, nameOf } from './images.js';
import { divideModel, hashModel, readModel, readSource, sourceName } from './model-source.js';
import { Inline, Pool, inOrder } from './pool.js';
import { checkSelfTest, testImage } from './selftest.js';
import { chooseVariant } from './variants.js';

/**
 * @typedef {import('./host.js').Host} Host
 * @typedef {import('./result.js').Result} Result
 * @typedef {import('./images.js').ImageInput} ImageInput
 * @typedef {import('./variants.js').Variant} Variant
 * @typedef {import('./model-source.js').Source} Source
 * @typedef {import('./model-source.js').ModelSource} ModelSource
 * @typedef {Source | WebAssembly.Module | { simd: Source | WebAssembly.Module, relaxed?: Source | WebAssembly.Module }} WasmSource
 * @typedef {{ stage: 'wasm' | 'model' | 'profile' | 'images', loaded: number, total: number | null }} Progress
 */

/**
 * @typedef {object} CommonOptions
 * @property {WasmSource} [wasm] where the binary is; without it, beside the package
 * @property {Variant | 'auto'} [variant]
 * @property {number} [workers] at most; 0: no worker, in this thread. Without it: cores - 1, no more than 4
 * @property {number} [timeout] milliseconds for one image; see pool.js
 * @property {import('./pool.js').CreateWorker} [createWorker] for pages that must make workers themselves
 * @property {(progress: Progress) => void} [onProgress]
 * @property {AbortSignal} [signal]
 */

/**
 * The compiled binary for this machine.
 * @param {Host} host
 * @param {CommonOptions} options
 * @returns {Promise<{ module: WebAssembly.Module, variant: string }>}
 */
export async function loadModule(host, { wasm, variant: asked = 'auto', signal, onProgress }) {
  host.prepare(asked);
  const variant = chooseVariant(asked);
  const pair = /** @type {any} */ (wasm)?.simd ? /** @type {any} */ (wasm) : null;
  const chosen = pair?.relaxed && variant === 'relaxed' ? 'relaxed' : 'simd';
  const source = pair ? pair[chosen] : (wasm ?? host.wasm(variant));
  // Of one that the caller brings, only the caller knows which it is.
  const name = pair ? chosen : wasm && asked === 'auto' ? 'custom' : variant;
  if (source instanceof WebAssembly.Module) return { module: source, variant: name };
  const report = (/** @type {any} */ progress) => onProgress?.({ stage: 'wasm', ...progress });
  const bytes = await readSource(host, source, { signal, onProgress: report });
  try {
    return { module: await WebAssembly.compile(/** @type {any} */ (bytes)), variant: name };
  } catch (error) {
    throw new NacError('UNSUPPORTED', `the WebAssembly file cannot be compiled: ${/** @type {Error} */ (error).message}`);
  }
}

/** @typedef {CommonOptions & { model: ModelSource, profile?: Source, preprocess?: string | object, taps?: import('./engine.js').Tap[] }} PoolOptions */

/**
 * All that a worker needs, read and compiled.
 * @param {Host} host
 * @param {PoolOptions} options
 * @param {object} early
 * @param {(module: WebAssembly.Module) => void} early.onModule the binary
 * @param {import('./host.js').Sink} early.sink for the model, as it comes
 * @returns {Promise<import('./runner.js').Setup & { sha256: Promise<string> }>}
 */
async function loadSetup(host, options, { onModule, sink }) {
  const { model: modelSource, profile: profileSource, preprocess, taps, signal, onProgress } = options;
  const report = (/** @type {'model' | 'profile'} */ stage) => (/** @type {import('./model-source.js').Amount} */ amount) => onProgress?.({ stage, ...amount });
  const [{ module, variant }, { model, files }, profile] = await Promise.all([
    loadModule(host, options).then((loaded) => (onModule(loaded.module), loaded)),
    readModel(host, modelSource, { signal, onProgress: report('model'), sink }),
    profileSource === undefined ? undefined : readSource(host, profileSource, { kind: 'profile', signal, onProgress: report('profile') }),
  ]);
  signal?.throwIfAborted();
  // Workers need it last of all: they are handed the rest before this thread is kept busy by a copy of the model.
  const sha256 = new Promise((resolve) => setTimeout(resolve)).then(() => hashModel({ model, files }));
  sha256.catch(() => {}); // it is looked at when it is needed
  const names = { model: sourceName(divideModel(modelSource).model), profile: sourceName(profileSource) };
  return { module, variant, model, files, sha256, profile, names, preprocess, taps };
}

/**
 * Workers (or this thread) with a model, and what they say of it.
 * @param {Host} host
 * @param {PoolOptions} options
 */
export async function openPool(host, options) {
  const { signal } = options;
  /** @type {import('./host.js').Sink} */
  const sink = {
    put: (piece, total) => pool.feed(piece, total),
    get spares() {
      return pool.spares;
    },
  };
  const setup = loadSetup(host, options, { onModule: (module) => pool.prepare(module), sink });
  const workers = options.workers ?? Math.max(1, Math.min(host.cores() - 1, 4));
  const pool = workers === 0 ? new Inline(setup) : new Pool(options.createWorker ?? host.createWorker, setup, workers, options.timeout);
  const abort = () => pool.close();
  signal?.addEventListener('abort', abort);
  try {
    const info = await pool.ready;
    const { module, sha256 } = await setup;
    return { pool, info, module, sha256: await sha256 };
  } catch (error) {
    pool.close();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/**
 * @param {Host} host
 * @param {ImageInput} input
 * @param {import('./images.js').Decode} decode
 */
export async function prepareImage(host, input, decode) {
  const loaded = await loadImage(input, decode);
  const { image } = loaded;
  if (!host.decode || !('bytes' in image) || isCoreFormat(image.bytes)) return loaded;
  // Not PNG, not JPEG. What the host cannot read either goes on as it is: the core's message names the format.
  const pixels = await host.decode(image.bytes);
  return pixels ? { image: { ...pixels, decoder: /** @type {const} */ ('browser') }, transfer: [/** @type {ArrayBuffer} */ (pixels.pixels.buffer)] } : loaded;
}

export class Detector {
  #host;
  #pool;

  /**
   * @param {Host} host
   * @param {Awaited<ReturnType<typeof openPool>>} opened
   */
  constructor(host, { pool, info, sha256 }) {
    this.#host = host;
    this.#pool = pool;
    /** What is known of the model and the profile: labels, variant, profile.layers, profile.threshold, … */
    this.info = { ...info, sha256 };
  }

  /**
   * @param {Host} host
   * @param {CommonOptions & { model: ModelSource, profile: Source }} options
   */
  static async load(host, options) {
    if (options?.model === undefined) throw new NacError('INVALID_ARGUMENT', 'loadDetector needs a model');
    if (options.profile === undefined) throw new NacError('INVALID_ARGUMENT', 'loadDetector needs a profile: buildProfile makes one');
    return new Detector(host, await openPool(host, options));
  }

  /**
   * @param {ImageInput} input
   * @param {{ explain?: boolean, signal?: AbortSignal }} [options]
   * @returns {Promise<Result>}
   */
  async score(input, { explain = false, signal } = {}) {
    return (await this.scoreTask(input, { explain, signal })).result;
  }

  /**
   * score, and what else a worker can say: the image's hash, whether the profile has seen it, and what baselines are made of.
   * @param {ImageInput} input
   * @param {{ explain?: boolean, hash?: boolean, features?: boolean, signal?: AbortSignal }} [options]
   * @returns {Promise<{ result: Result, hash?: bigint, use?: 'profile' | 'calibration' | null } & Partial<import('./runner.js').Features>>}
   */
  async scoreTask(input, { explain = false, hash = false, features = false, signal } = {}) {
    signal?.throwIfAborted();
    const { image, transfer } = await prepareImage(this.#host, input, (bytes) => this.decode(bytes));
    const answer = await this.#pool.run({ kind: 'score', image, explain, hash, features }, { signal, transfer });
    answer.result.file = nameOf(input);
    return answer;
  }

  /**
   * Whether the profile has seen the image, without running the network.
   * @param {ImageInput} input
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<{ hash: bigint, use: 'profile' | 'calibration' | null }>}
   */
  async hashTask(input, { signal } = {}) {
    signal?.throwIfAborted();
    const { image, transfer } = await prepareImage(this.#host, input, (bytes) => this.decode(bytes));
    return this.#pool.run({ kind: 'hash', image }, { signal, transfer });
  }

  /**
   * Scores in the order of `files`, on all workers; takes the next file when a worker has room for it. An image that cannot
   * be read yields { file, error } and does not end the sequence. Sprites (`name.32x32.png`) yield a result a tile.
   * @param {Iterable<ImageInput> | AsyncIterable<ImageInput>} files
   * @param {{ explain?: boolean, signal?: AbortSignal }} [options]
   * @returns {AsyncGenerator<(Result & { error?: undefined }) | { file: string, error: NacError }, void, undefined>}
   */
  async *scoreAll(files, { explain = false, signal } = {}) {
    const expanded = expandSprites(files);
    const work = async (/** @type {ImageInput} */ input) => {
      try {
        return await this.score(input, { explain, signal });
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof NacError) || error.code === 'CLOSED') throw error;
        return { file: nameOf(input), error };
      }
    };
    yield* inOrder(expanded, work, this.window);
  }

  /**
   * Whether this machine computes what the one did that built the profile. Also warms the first worker up.
   * @param {{ signal?: AbortSignal }} [options]
   */
  async selfTest({ signal } = {}) {
    return checkSelfTest(this.info.profile.selfTest, await this.score(testImage(), { signal }));
  }

  /** Images that may be under way at once: two a worker, so that none waits for the next to be read. */
  get window() {
    return 2 * this.#pool.size;
  }

  /**
   * The pixels of a PNG or JPEG.
   * @param {Uint8Array} bytes
   * @returns {Promise<{ pixels: Uint8Array, width: number, height: number }>}
   */
  decode(bytes) {
    return this.#pool.run({ kind: 'decode', bytes });
  }

  /**
   * How often in-distribution images put neurons of one layer into each bin.
   * @param {number} layer
   * @param {number[]} neurons
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<{ edges: Float64Array, counts: Uint32Array[] }>} counts[i][bin] of neurons[i]
   */
  histograms(layer, neurons, { signal } = {}) {
    return this.#pool.run({ kind: 'histograms', layer, neurons }, { signal });
  }

  /**
   * Metrics of two sets of scores, and the central 95 % of them over resampled images.
   * @param {Float32Array} id
   * @param {Float32Array} ood
   * @param {{ rounds?: number, seed?: number, signal?: AbortSignal }} [options]
   * @returns {Promise<import('./engine/statistics.js').Metrics & { ci: Record<string, [number, number]> }>}
   */
  metrics(id, ood, { rounds = 1000, seed = 0, signal } = {}) {
    return this.#pool.run({ kind: 'metrics', id, ood, rounds, seed }, { signal });
  }

  /**
   * The pixels of any image that this host reads, as the network's preprocessing takes them.
   * @param {ImageInput} input
   * @returns {Promise<{ pixels: Uint8Array | Uint8ClampedArray, width: number, height: number, decoder?: 'core' | 'browser' }>}
   */
  async pixels(input) {
    const { image } = await prepareImage(this.#host, input, (bytes) => this.decode(bytes));
    return 'bytes' in image ? this.decode(image.bytes) : image;
  }

  /** Ends the workers. What is not done fails with CLOSED. */
  close() {
    this.#pool.close();
  }
}
