// @ts-check
/** Profiles: what a network's neurons did on in-distribution images, and how covered one image's states are. */
import { NacError } from '../error.js';
import { checkSize } from '../limits.js';
import { Owned } from './heap.js';
import { POOLS } from './model.js';

/** @typedef {import('./heap.js').Heap} Heap */
/** @typedef {import('./model.js').Session} Session */
/** @typedef {import('./model.js').Pool} Pool */
/** @typedef {{ name: string, pool: Pool, neurons: number, alpha: number, M: number, O: number }} Layer */

export class Profile extends Owned {
  /**
   * @param {Heap} heap
   * @param {number} address
   */
  constructor(heap, address) {
    super(heap, address);
    const { exports } = heap;
    /** @type {Layer[]} */
    this.layers = Array.from({ length: exports.nac_profile_layer_count(address) }, (_, layer) => ({
      name: heap.text(exports.nacw_profile_layer_name(address, layer)) ?? '',
      pool: POOLS[exports.nacw_profile_layer_pool(address, layer)],
      neurons: exports.nacw_profile_layer_neurons(address, layer),
      alpha: exports.nacw_profile_layer_alpha(address, layer),
      M: exports.nacw_profile_layer_M(address, layer),
      O: exports.nacw_profile_layer_O(address, layer),
    }));
  }

  /**
   * @param {Heap} heap
   * @param {Uint8Array} bytes a profile's safetensors file
   */
  static open(heap, bytes) {
    checkSize('profile', bytes.length);
    const address = heap.borrow((lend) => heap.callForAddress('nac_profile_open', lend.copy(bytes), bytes.length));
    return new Profile(heap, address);
  }

  /**
   * @param {Heap} heap
   * @param {Layer[]} layers
   */
  static create(heap, layers) {
    const address = heap.borrow((lend) =>
      heap.callForAddress(
        'nacw_profile_create',
        lend.pointers(layers.map((layer) => lend.text(layer.name).address)),
        lend.copy(Int32Array.from(layers, (layer) => POOLS.indexOf(layer.pool))),
        lend.copy(Int32Array.from(layers, (layer) => layer.neurons)),
        lend.copy(Float32Array.from(layers, (layer) => layer.alpha)),
        lend.copy(Int32Array.from(layers, (layer) => layer.M)),
        lend.copy(Float64Array.from(layers, (layer) => layer.O)),
        layers.length,
      ));
    return new Profile(heap, address);
  }

  /** Images counted. */
  get images() {
    return Number(this.heap.exports.nac_profile_images(this.address));
  }

  /** NaN when not calibrated, like the next. */
  get threshold() {
    return this.heap.exports.nac_profile_threshold(this.address);
  }

  get falseAlarm() {
    return this.heap.exports.nac_profile_false_alarm(this.address);
  }

  get calibrated() {
    return !Number.isNaN(this.threshold);
  }

  /** Sorted scores of the held-out images (a copy). */
  get calibration() {
    const { address, count } = this.heap.array('nac_profile_calibration', this.address);
    return count === 0 ? new Float32Array(0) : this.heap.f32(address, count).slice();
  }

  /** @param {number} score */
  pValue(score) {
    return this.heap.exports.nac_profile_p_value(this.address, score);
  }

  /** Among images that are taken for this class; NaN where too few were, like the next.
   * @param {number} classIndex
   * @param {number} score
   */
  classPValue(classIndex, score) {
    return this.heap.exports.nac_profile_class_p_value(this.address, classIndex, score);
  }

  /** @param {number} classIndex */
  classThreshold(classIndex) {
    return this.heap.exports.nac_profile_class_threshold(this.address, classIndex);
  }

  /**
   * @param {string} key
   * @returns {any} the parsed JSON, or undefined
   */
  metadata(key) {
    const text = this.heap.borrow((lend) => this.heap.text(this.heap.exports.nac_profile_metadata(this.address, lend.text(key).address)));
    if (text === null) return undefined;
    try {
      return JSON.parse(text);
    } catch {
      return text; // a foreign key may be anything
    }
  }

  /** @returns {string[]} */
  get metadataKeys() {
    const keys = [];
    for (let i = 0; ; ++i) {
      const key = this.heap.text(this.heap.exports.nac_profile_metadata_key(this.address, i));
      if (key === null) return keys;
      keys.push(key);
    }
  }

  /**
   * @param {string} key
   * @param {any} value undefined removes the key
   */
  setMetadata(key, value) {
    this.heap.borrow((lend) => {
      const text = value === undefined ? { address: 0, size: 0 } : lend.text(JSON.stringify(value));
      this.heap.call('nac_profile_set_metadata', this.address, lend.text(key).address, text.address, text.size);
    });
  }

  /** Throws MISMATCH unless the profile was made of the model with this SHA-256.
   * @param {string} sha256 64 hexadecimal digits
   */
  checkModel(sha256) {
    this.heap.borrow((lend) => this.heap.call('nac_profile_check_model', this.address, lend.text(sha256).address));
  }

  /**
   * Counts the states of N images.
   * @param {number} N
   * @param {Float32Array[]} z per layer, [N, neurons]
   * @param {Float32Array[]} g per layer, [N, neurons]
   */
  add(N, z, g) {
    this.#checkStates(N, z, g);
    this.heap.borrow((lend) => {
      const pointers = [z, g].map((arrays) => lend.pointers(arrays.map((array) => lend.copy(array))));
      this.heap.call('nac_profile_add', this.address, N, pointers[0], pointers[1]);
    });
  }

  /** @param {Profile} other */
  merge(other) {
    this.heap.call('nac_profile_merge', this.address, other.address);
  }

  /**
   * NAC-UE of N images' states.
   * @param {number} N
   * @param {Float32Array[]} z
   * @param {Float32Array[]} g
   */
  score(N, z, g) {
    this.#checkStates(N, z, g);
    return this.heap.borrow((lend) => {
      const pointers = [z, g].map((arrays) => lend.pointers(arrays.map((array) => lend.copy(array))));
      return this.#score(lend, N, pointers[0], pointers[1]);
    });
  }

  /**
   * NAC-UE of what a session has just run; its taps must be this profile's layers.
   * @param {Session} session
   */
  scoreSession(session) {
    return this.heap.borrow((lend) => {
      const z = lend.pointers(this.layers.map((_, layer) => session.zAddress(layer)));
      const g = lend.pointers(this.layers.map((_, layer) => session.gAddress(layer)));
      return this.#score(lend, session.batch, z, g);
    });
  }

  /**
   * @param {any} lend
   * @param {number} N
   * @param {number} z
   * @param {number} g
   */
  #score(lend, N, z, g) {
    const layers = this.layers.length;
    const layerScores = lend.alloc(4 * N * layers);
    const scores = lend.alloc(4 * N);
    this.heap.call('nac_profile_score', this.address, N, z, g, layerScores, scores);
    return { layerScores: this.heap.f32(layerScores, N * layers).slice(), scores: this.heap.f32(scores, N).slice() };
  }

  /**
   * How covered every neuron of one layer is, for one image.
   * @param {number} layer
   * @param {Float32Array} z [neurons]
   * @param {Float32Array} g [neurons]
   */
  coverage(layer, z, g) {
    const { neurons } = this.layers[layer];
    if (z.length !== neurons || g.length !== neurons)
      throw new NacError('MISMATCH', `layer ${this.layers[layer].name} has ${neurons} neurons, but ${z.length} were given`);
    return this.heap.borrow((lend) => {
      const coverage = lend.alloc(4 * neurons);
      const bins = lend.alloc(4 * neurons);
      this.heap.call('nac_profile_coverage', this.address, layer, lend.copy(z), lend.copy(g), coverage, bins);
      return { coverage: this.heap.f32(coverage, neurons).slice(), bins: this.heap.i32(bins, neurons).slice() };
    });
  }

  /** Edges of a layer's bins (a copy): [M].
   * @param {number} layer
   */
  edges(layer) {
    const { M } = this.layers[layer];
    return this.heap.f64(this.heap.exports.nac_profile_edges(this.address, layer) >>> 0, M).slice();
  }

  /** How many images put a neuron into each bin (a copy): [M - 1].
   * @param {number} layer
   * @param {number} neuron
   */
  counts(layer, neuron) {
    const { M, neurons, name } = this.layers[layer];
    if (!(Number.isInteger(neuron) && neuron >= 0 && neuron < neurons))
      throw new NacError('INVALID_ARGUMENT', `layer ${name} has no neuron ${neuron}: there are ${neurons}`);
    const all = this.heap.u32(this.heap.exports.nac_profile_counts(this.address, layer) >>> 0, (M - 1) * neurons);
    return Uint32Array.from({ length: M - 1 }, (_, bin) => all[bin * neurons + neuron]);
  }

  /**
   * @param {number[]} scores of held-out in-distribution images
   * @param {number[] | null} classes predicted for them; null: not known
   * @param {number} falseAlarm 0..1
   */
  calibrate(scores, classes, falseAlarm) {
    if (classes && classes.length !== scores.length) throw new NacError('MISMATCH', `${scores.length} scores and ${classes.length} classes`);
    this.heap.borrow((lend) => {
      const predicted = classes ? lend.copy(Uint32Array.from(classes)) : 0;
      this.heap.call('nac_profile_calibrate', this.address, lend.copy(Float32Array.from(scores)), predicted, scores.length, falseAlarm);
    });
  }

  /** Remembers images, so that an evaluation can refuse them.
   * @param {bigint[]} hashes
   * @param {'profile' | 'calibration'} use
   */
  addHashes(hashes, use) {
    const name = use === 'profile' ? 'nac_profile_add_hashes' : 'nac_profile_add_calibration_hashes';
    this.heap.borrow((lend) => this.heap.call(name, this.address, lend.copy(BigUint64Array.from(hashes)), hashes.length));
  }

  /** What this image was used for, or null.
   * @param {bigint} hash
   * @returns {'profile' | 'calibration' | null}
   */
  use(hash) {
    if (this.heap.exports.nac_profile_has_hash(this.address, hash)) return 'profile';
    return this.heap.exports.nac_profile_has_calibration_hash(this.address, hash) ? 'calibration' : null;
  }

  /** Number of images it remembers. */
  get hashCounts() {
    return {
      profile: this.heap.array('nac_profile_hashes', this.address).count,
      calibration: this.heap.array('nac_profile_calibration_hashes', this.address).count,
    };
  }

  /** The safetensors file (a copy). */
  save() {
    const [bytes, size] = this.heap.callForPair('nac_profile_save', [this.address]);
    return this.heap.u8(bytes, size).slice();
  }

  /**
   * The core trusts array lengths; here is where they are known.
   * @param {number} N
   * @param {Float32Array[]} z
   * @param {Float32Array[]} g
   */
  #checkStates(N, z, g) {
    this.layers.forEach(({ name, neurons }, layer) => {
      for (const array of [z[layer], g[layer]])
        if (array?.length !== N * neurons)
          throw new NacError('MISMATCH', `layer ${name} needs ${N} x ${neurons} numbers, but has ${array?.length ?? 0}`);
    });
  }

  /** @param {number} address @protected */
  release(address) {
    this.heap.exports.nac_profile_destroy(address);
  }
}
