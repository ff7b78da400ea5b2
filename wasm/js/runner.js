// @ts-check
/**
 * One engine, one model and perhaps one profile: does the tasks of a worker, or of a page that has none. Images are run one
 * by one, so that a score never depends on neighbours.
 */
import { Engine } from './engine.js';
import { NacError } from './error.js';
import { explain } from './explain.js';
import { hashImage } from './hash.js';
import { makeResult } from './result.js';

/** @typedef {import('./engine.js').Tap} Tap */

/**
 * @typedef {object} Setup
 * @property {WebAssembly.Module} module
 * @property {string} variant name for results
 * @property {Uint8Array | Uint8Array[]} model in one piece or several
 * @property {import('./model-source.js').NamedBytes[]} [files] that it names for its weights
 * @property {Promise<string>} [sha256] of the model and its files; the profile must have been made of it
 * @property {{ model: string, profile: string }} [names] for messages
 * @property {Uint8Array} [profile]
 * @property {string | object} [preprocess] where there is no profile
 * @property {Tap[]} [taps] where there is no profile; none: the core chooses
 * @property {'reference' | 'xnnpack'} [backend]
 */

/** @typedef {Omit<Setup, 'model'> & { model: Uint8Array[] | import('./engine/incoming.js').Incoming }} Fed whose model may be in the engine's memory */

/**
 * @typedef {{ bytes: Uint8Array } | { pixels: Uint8Array | Uint8ClampedArray, width: number, height: number, decoder?: 'core' | 'browser' }} ImageData
 * @typedef {{ kind: 'score', image: ImageData, explain?: boolean, hash?: boolean, features?: boolean }} ScoreTask
 * @typedef {{ kind: 'hash', image: ImageData }} HashTask
 * @typedef {{ kind: 'states', image?: ImageData, tensor?: Float32Array, dims?: number[], input?: boolean, hash?: boolean }} StatesTask
 *   tensor is [C, H, W], already normalised, with dims
 * @typedef {{ kind: 'decode', bytes: Uint8Array }} DecodeTask
 * @typedef {{ kind: 'histograms', layer: number, neurons: number[] }} HistogramsTask
 * @typedef {{ kind: 'metrics', id: Float32Array, ood: Float32Array, rounds: number, seed: number }} MetricsTask
 * @typedef {ScoreTask | HashTask | StatesTask | DecodeTask | HistogramsTask | MetricsTask} Task
 */

export class Runner {
  #engine;
  #setup;
  /** @type {import('./engine/image.js').Preprocess | undefined} */
  #preprocess;
  /** @type {import('./engine/profile.js').Profile | undefined} */
  #profile;
  /** @type {import('./engine/model.js').Model | undefined} */
  #model;
  /** @type {import('./engine/model.js').Session | undefined} */
  #session;
  /** @type {string[] | undefined} */
  #labels;
  #batch;

  /**
   * @param {Engine} engine
   * @param {Setup | Fed} setup
   */
  constructor(engine, setup) {
    this.#engine = engine;
    this.#setup = setup;
    const { profile, names } = setup;
    this.#model = naming(names?.model, () => engine.openModel(setup.model, { files: setup.files }));
    if (profile) this.#profile = naming(names?.profile, () => engine.openProfile(profile));
    const preprocess = this.#profile?.metadata('preprocess') ?? setup.preprocess;
    if (preprocess) this.#preprocess = engine.preprocess(preprocess);
    const { info } = this.#model;
    this.modelInfo = info;
    this.#labels = this.#profile?.metadata('labels') ?? (Array.isArray(info.labels) ? info.labels : undefined);
    // A model of a fixed batch gets the image in every row, and the first row is read.
    const fixed = info.inputs?.[0]?.dims?.[0];
    this.#batch = Number.isInteger(fixed) && fixed > 0 ? fixed : 1;
  }

  /**
   * @param {Setup | Fed} setup its model is given up
   * @param {Engine} [engine] of its module, where there is one already
   */
  static async create(setup, engine) {
    const runner = new Runner(engine ?? (await Engine.create(setup.module)), setup);
    let failure;
    try {
      runner.prepare();
    } catch (error) {
      failure = error;
    }
    // It is computed while the session is made. A profile of another model is why it doesn't fit, so that is said first.
    const sha256 = await setup.sha256;
    if (sha256) naming(setup.names?.profile, () => runner.#profile?.checkModel(sha256));
    if (failure) throw failure;
    return runner;
  }

  /** Makes the session in advance, where every image has one size. The files are not needed again then. */
  prepare() {
    if (!this.#preprocess?.fixed) return;
    const { width, height } = this.#preprocess.size(1, 1);
    this.#sessionFor(height, width, { closeModel: true });
    this.#setup.model = [];
    this.#setup.files = [];
  }

  /** What is known before the first image. */
  describe() {
    const profile = this.#profile;
    return {
      variant: this.#setup.variant,
      labels: this.#labels,
      model: this.modelInfo,
      taps: this.#session?.taps,
      classes: this.#session?.classes,
      preprocess: this.#preprocess?.json,
      memoryBytes: this.#engine.memoryBytes,
      profile: profile && {
        layers: profile.layers,
        images: profile.images,
        threshold: profile.calibrated ? profile.threshold : null,
        falseAlarm: profile.calibrated ? profile.falseAlarm : null,
        calibration: profile.calibration,
        model: profile.metadata('model'),
        provenance: profile.metadata('provenance'),
        selfTest: profile.metadata('selfTest'),
      },
    };
  }

  /**
   * @param {Task} task
   * @returns {Promise<any>}
   */
  async run(task) {
    if (task.kind === 'score') return this.#score(task);
    if (task.kind === 'hash') return this.#hash(task);
    if (task.kind === 'states') return this.#states(task);
    if (task.kind === 'histograms') return this.#histograms(task);
    if (task.kind === 'metrics') return this.#metrics(task);
    return this.#decode(task);
  }

  /** @param {ScoreTask} task */
  async #score({ image: source, explain: wanted, hash: hashed, features: raw }) {
    const profile = this.#profile;
    if (!profile) throw new NacError('INVALID_ARGUMENT', 'a score needs a profile');
    const clock = stopwatch();
    const { image, decoder } = this.#open(source);
    const decode = clock();
    // Nothing is awaited from here on but this: a session holds one image at a time.
    const hash = hashed ? await hashOf(image) : undefined;
    clock();
    const session = this.#fill(image);
    const preprocess = clock();
    session.forward();
    const forward = clock();
    session.backward();
    const backward = clock();
    const { scores, layerScores } = profile.scoreSession(session);
    const baselines = this.#engine.baselines(session.logits().subarray(0, session.classes));
    const score = clock();
    const explanation = wanted ? explain(this.#engine, session, profile, /** @type {any} */ (this.#preprocess).json) : undefined;
    const ms = { decode, preprocess, forward, backward, score };
    const measured = { profile, labels: this.#labels, score: scores[0], layerScores, baselines, ms, decoder, variant: this.#setup.variant, explanation };
    return { result: makeResult(measured), ...(hash !== undefined && { hash, use: profile.use(hash) }), ...(raw && this.#features(session, scores[0], baselines)) };
  }

  /**
   * Every score that one image's logits and features allow, all high = in-distribution, and those features: the classifier's input
   * or, where no tap is that, the first layer.
   * @typedef {object} Features
   * @property {Record<string, number>} methods nac, msp, maxLogit, energy, entropy, gen; gradNorm where features are the classifier's input
   * @property {Float32Array} features
   * @property {import('./engine/model.js').Tap & { classifierInput: boolean }} layer they are from
   * @property {number[]} dims of the session's input
   * @param {import('./engine/model.js').Session} session
   * @param {number} nac
   * @param {ReturnType<Engine['baselines']>} baselines
   * @returns {Features}
   */
  #features(session, nac, { msp, maxLogit, energy, entropy, gen }) {
    const classifierInput = session.classifierTap >= 0;
    const tap = classifierInput ? session.classifierTap : 0;
    const { name, pool, neurons } = session.taps[tap];
    const features = session.z(tap).slice(0, neurons);
    /** @type {Record<string, number>} */
    const methods = { nac, msp, maxLogit, energy, entropy, gen };
    if (classifierInput) methods.gradNorm = this.#engine.gradNorm(session.logits().slice(0, session.classes), features);
    return { methods, features, layer: { name, pool, classifierInput }, dims: session.dims };
  }

  /** @param {HashTask} task */
  async #hash({ image: source }) {
    const { image } = this.#open(source);
    try {
      const hash = await hashOf(image);
      return { hash, use: this.#profile?.use(hash) ?? null };
    } finally {
      image.close();
    }
  }

  /** @param {StatesTask} task */
  async #states({ image: source, tensor, dims, input, hash: hashed }) {
    let session, hash;
    if (tensor && dims) {
      session = this.#fillTensor(tensor, dims);
    } else {
      const { image } = this.#open(/** @type {ImageData} */ (source));
      hash = hashed ? await hashOf(image) : undefined;
      session = this.#fill(image);
    }
    session.forward();
    session.backward();
    return {
      taps: session.taps,
      logits: session.logits().slice(0, session.classes),
      z: session.taps.map(({ neurons }, tap) => session.z(tap).slice(0, neurons)),
      g: session.taps.map(({ neurons }, tap) => session.g(tap).slice(0, neurons)),
      dims: session.dims,
      ...(input && { input: session.input().slice() }),
      ...(hash !== undefined && { hash, use: this.#profile?.use(hash) ?? null }),
    };
  }

  /** @param {DecodeTask} task */
  #decode({ bytes }) {
    const { image } = this.#open({ bytes });
    try {
      return { pixels: image.pixels(), width: image.width, height: image.height };
    } finally {
      image.close();
    }
  }

  /** @param {HistogramsTask} task */
  #histograms({ layer, neurons }) {
    const profile = this.#profile;
    if (!profile?.layers[layer]) throw new NacError('INVALID_ARGUMENT', `there is no layer ${layer}`);
    return { edges: profile.edges(layer), counts: neurons.map((neuron) => profile.counts(layer, neuron)) };
  }

  /** @param {MetricsTask} task */
  #metrics({ id, ood, rounds, seed }) {
    const measured = this.#engine.metrics(id, ood);
    const { low, high } = this.#engine.bootstrap(id, ood, { rounds, seed });
    const ci = Object.fromEntries(Object.keys(measured).map((key) => [key, [low[/** @type {'auroc'} */ (key)], high[/** @type {'auroc'} */ (key)]]]));
    return { ...measured, ci };
  }

  /** @param {ImageData} source */
  #open(source) {
    const preprocess = this.#preprocess;
    if (!preprocess) throw new NacError('INVALID_ARGUMENT', 'images need a profile or a preset that says how to prepare them');
    if ('bytes' in source) return { image: this.#engine.decodeImage(source.bytes, preprocess), decoder: /** @type {const} */ ('core') };
    const { pixels, width, height, decoder = 'core' } = source;
    return { image: this.#engine.imageFromPixels(pixels, width, height, preprocess), decoder };
  }

  /** Makes the image a session's input, and closes it.
   * @param {import('./engine/image.js').Image} image
   */
  #fill(image) {
    const preprocess = /** @type {import('./engine/image.js').Preprocess} */ (this.#preprocess);
    try {
      const { width, height } = preprocess.size(image.width, image.height);
      const session = this.#sessionFor(height, width);
      image.toTensor(preprocess, session.inputAddress);
      this.#repeat(session);
      return session;
    } finally {
      image.close();
    }
  }

  /**
   * @param {Float32Array} tensor [C, H, W]
   * @param {number[]} dims
   */
  #fillTensor(tensor, [C, H, W]) {
    const session = this.#sessionFor(H, W);
    if (session.dims[3] !== C) throw new NacError('MISMATCH', `the tensor has ${C} channels, but the model takes ${session.dims[3]}`);
    const input = session.input();
    for (let c = 0; c < C; ++c) for (let p = 0; p < H * W; ++p) input[p * C + c] = tensor[c * H * W + p];
    this.#repeat(session);
    return session;
  }

  /** @param {import('./engine/model.js').Session} session */
  #repeat(session) {
    for (let n = 1; n < session.batch; ++n) session.input(n).set(session.input(0));
  }

  /**
   * A session for images of this size; the last one is kept.
   * @param {number} height
   * @param {number} width
   * @param {{ closeModel?: boolean }} [how]
   */
  #sessionFor(height, width, { closeModel = false } = {}) {
    const current = this.#session;
    if (current && current.dims[1] === height && current.dims[2] === width) return current;
    if (current && this.#model?.closed)
      throw new NacError('MISMATCH', `the preprocessing makes inputs of ${current.dims[1]} x ${current.dims[2]}, not of ${height} x ${width}`);
    // The old one's memory goes first: a session of another size takes its place in the heap.
    current?.close();
    this.#session = undefined;
    const taps = this.#profile?.layers.map(({ name, pool }) => ({ name, pool })) ?? this.#setup.taps ?? [];
    const options = { batch: this.#batch, height, width, taps, backend: this.#setup.backend ?? 'xnnpack', keepMaps: this.#profile !== undefined, closeModel };
    const session = naming(this.#setup.names?.model, () => this.#engine.createSession(/** @type {any} */ (this.#model), options));
    this.#session = session;
    this.#profile?.layers.forEach(({ name, neurons }, tap) => {
      if (session.taps[tap]?.neurons !== neurons)
        throw new NacError('MISMATCH', `${name} has ${session.taps[tap]?.neurons} neurons in the model and ${neurons} in the profile`);
    });
    return session;
  }

  close() {
    this.#session?.close();
    this.#model?.close();
    this.#profile?.close();
    this.#preprocess?.close();
  }
}

/**
 * The core does not know what its bytes are called; people do.
 * @template T
 * @param {string | undefined} name
 * @param {() => T} body
 * @returns {T}
 */
function naming(name, body) {
  try {
    return body();
  } catch (error) {
    throw name && error instanceof NacError ? new NacError(error.code, `${name}: ${error.message}`) : error;
  }
}

/** Milliseconds since the last call. */
function stopwatch() {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const elapsed = now - last;
    last = now;
    return elapsed;
  };
}

/** @param {import('./engine/image.js').Image} image */
function hashOf(image) {
  return hashImage(image.pixels(), image.width, image.height);
}
