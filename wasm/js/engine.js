// @ts-check
/**
 * One instance of the core. The only door to its memory: what comes out of here has methods and close(), never addresses.
 *
 * The module is standalone WebAssembly, so there is no generated glue: it is instantiated here, with the two functions that
 * it imports.
 */
import { NacError } from './error.js';
import { Coverage } from './engine/coverage.js';
import { Heap } from './engine/heap.js';
import { Image, Preprocess } from './engine/image.js';
import { Incoming } from './engine/incoming.js';
import { Model, Session } from './engine/model.js';
import { Neighbours } from './engine/neighbours.js';
import { Profile } from './engine/profile.js';
import { baselines, bootstrap, gradNorm, metrics } from './engine/statistics.js';
import { checkSize } from './limits.js';

/** @typedef {import('./engine/model.js').Tap} Tap */
/** @typedef {import('./engine/model.js').Pool} Pool */
/** @typedef {import('./engine/profile.js').Layer} Layer */
/** @typedef {import('./engine/statistics.js').Metrics} Metrics */

const IMPORTS = {
  env: {
    // Views are made anew for every use, so there is nothing to refresh.
    emscripten_notify_memory_growth() {},
    // pthreadpool asks; every engine is one thread.
    hardware_concurrency: () => 1,
  },
};

export class Engine {
  #heap;

  /** @param {WebAssembly.Instance} instance */
  constructor(instance) {
    this.#heap = new Heap(/** @type {Record<string, any>} */ (instance.exports));
  }

  /**
   * @param {WebAssembly.Module} module nac-simd.wasm or nac-relaxed.wasm
   */
  static async create(module) {
    let instance;
    try {
      instance = await WebAssembly.instantiate(module, IMPORTS);
    } catch (error) {
      throw new NacError('UNSUPPORTED', `the WebAssembly module cannot be started: ${/** @type {Error} */ (error).message}`);
    }
    // Constructors of a library built with --no-entry.
    /** @type {Record<string, any>} */ (instance.exports)._initialize?.();
    return new Engine(instance);
  }

  /** Bytes of memory taken so far; it never shrinks. */
  get memoryBytes() {
    return this.#heap.size;
  }

  /** @param {string | object} source a preset's name, JSON text, or the object it stands for */
  preprocess(source) {
    return new Preprocess(this.#heap, source);
  }

  /**
   * @param {Uint8Array} bytes JPEG or PNG
   * @param {Preprocess} preprocess
   */
  decodeImage(bytes, preprocess) {
    return Image.decode(this.#heap, bytes, preprocess);
  }

  /**
   * @param {Uint8Array | Uint8ClampedArray} pixels RGB or RGBA
   * @param {number} width
   * @param {number} height
   * @param {Preprocess} preprocess
   */
  imageFromPixels(pixels, width, height, preprocess) {
    return Image.fromPixels(this.#heap, pixels, width, height, preprocess);
  }

  /**
   * Room for a model that comes piece by piece.
   * @param {number} size bytes that it will have
   */
  receiveModel(size) {
    checkSize('model', size);
    return new Incoming(this.#heap, size);
  }

  /**
   * Has the system give memory for the weights that a session will make of a model, while that comes: as much as the file has. Where they are float16,
   * or bytes that become floats, they need more, for which the memory grows then.
   * @param {Incoming} model there is only so much to be expected of what has not come
   */
  expectWeights({ filled, size }) {
    this.#heap.warm(filled, size);
  }

  /**
   * @param {Uint8Array | Uint8Array[] | Incoming} bytes an ONNX file, in one piece or several, which are copied; or what has come of it, which is closed
   * @param {{ check?: boolean, files?: import('./model-source.js').NamedBytes[] }} [options] check: refuse a model with an operator that is not supported;
   *   files: those that it names for its weights, copied too. Others are not looked at
   */
  openModel(bytes, options) {
    return new Model(this.#heap, bytes, options);
  }

  /**
   * @param {Model} model may be closed afterwards; with `closeModel` it is
   * @param {{ batch?: number, height?: number, width?: number, taps?: Tap[], backend?: 'reference' | 'xnnpack', keepMaps?: boolean, closeModel?: boolean }} [options]
   */
  createSession(model, options) {
    return new Session(this.#heap, model, options);
  }

  /** @param {Uint8Array} bytes */
  openProfile(bytes) {
    return Profile.open(this.#heap, bytes);
  }

  /** @param {Layer[]} layers */
  createProfile(layers) {
    return Profile.create(this.#heap, layers);
  }

  /** sigmoid(alpha * (z * g)) in float32.
   * @param {number} z @param {number} g @param {number} alpha
   * @returns {number}
   */
  state(z, g, alpha) {
    return this.#heap.exports.nac_state(z, g, alpha);
  }

  /** @param {number} M */
  binEdges(M) {
    return this.#heap.borrow((lend) => {
      const edges = lend.alloc(8 * M);
      this.#heap.call('nac_bin_edges', M, edges);
      return this.#heap.f64(edges, M).slice();
    });
  }

  /** @param {{ neurons: number, alpha: number, M: number, linear?: boolean }} layer */
  createCoverage(layer) {
    return new Coverage(this.#heap, layer);
  }

  /** @param {{ references: Float32Array[], k: number }} how */
  createNeighbours(how) {
    return new Neighbours(this.#heap, how);
  }

  /** @param {Float32Array} logits of one image */
  baselines(logits) {
    return baselines(this.#heap, logits);
  }

  /** @param {Float32Array} logits of one image @param {Float32Array} features the classifier's input */
  gradNorm(logits, features) {
    return gradNorm(this.#heap, logits, features);
  }

  /** @param {Float32Array} id @param {Float32Array} ood */
  metrics(id, ood) {
    return metrics(this.#heap, id, ood);
  }

  /** @param {Float32Array} id @param {Float32Array} ood @param {{ rounds?: number, seed?: number }} [options] */
  bootstrap(id, ood, options) {
    return bootstrap(this.#heap, id, ood, options);
  }
}
