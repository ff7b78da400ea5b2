// @ts-check
/** Models, and sessions that run them: one forward pass, one sweep back. */
import { NacError } from '../error.js';
import { checkModelSize, checkSize } from '../limits.js';
import { Owned } from './heap.js';
import { Incoming } from './incoming.js';

/** @typedef {import('./heap.js').Heap} Heap */
/** @typedef {'sum' | 'nhwc' | 'mean' | 'cls' | 'none'} Pool */
/** @typedef {{ name: string, pool: Pool }} Tap */

/** nac_pool, in order. */
export const POOLS = /** @type {Pool[]} */ (['sum', 'nhwc', 'mean', 'cls', 'none']);
const BACKENDS = ['reference', 'xnnpack'];

/**
 * A model's own file and, behind it, those that it names.
 * @param {Heap} heap
 * @param {Uint8Array[]} pieces of the former
 * @param {import('../model-source.js').NamedBytes[]} files
 */
function copyFiles(heap, pieces, files) {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const total = files.reduce((sum, file) => sum + file.bytes.length, size);
  checkSize('model', size);
  checkModelSize(total, '');
  return { block: heap.copyAll([...pieces, ...files.map((file) => file.bytes)]), size, total };
}

/**
 * The same of a file that is there already: where it is, unless others have to stand behind it.
 * @param {Incoming} file
 * @param {import('../model-source.js').NamedBytes[]} others
 */
function settle(file, others) {
  const { heap, filled: size } = file;
  if (others.length === 0) return { block: file.take(), size, total: size };
  const bytes = file.bytes();
  file.close();
  return copyFiles(heap, [bytes], others);
}

/** An ONNX file, with those that it names for its weights. Sessions that have been made from it do not need it any more. */
export class Model extends Owned {
  /** One block for all of the files. */
  #block;

  /**
   * @param {Heap} heap
   * @param {Uint8Array | Uint8Array[] | Incoming} bytes
   * @param {{ check?: boolean, files?: import('../model-source.js').NamedBytes[] }} [options] see Engine
   */
  constructor(heap, bytes, { check = true, files = [] } = {}) {
    const { block, size, total } = bytes instanceof Incoming ? settle(bytes, files) : copyFiles(heap, [bytes].flat(), files);
    let address;
    try {
      address = heap.callForAddress('nac_model_open', block, size);
    } catch (error) {
      heap.free(block);
      throw error;
    }
    super(heap, address);
    // The weights are read where they are, so the files' bytes live as long as the model.
    this.#block = block;
    /** Of all files. */
    this.bytes = total;
    /** @type {Record<string, any>} */
    this.info = JSON.parse(heap.text(heap.exports.nac_model_info(address)) ?? '{}');
    try {
      this.#attach(files, block + size);
      if (check) heap.call('nac_model_check', address);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * @param {import('../model-source.js').NamedBytes[]} files
   * @param {number} at where they lie, one behind the other
   */
  #attach(files, at) {
    const needed = new Set(this.info.files.map((/** @type {{ name: string }} */ { name }) => name));
    for (const { name, bytes } of files) {
      if (needed.has(name)) this.heap.borrow((lend) => this.heap.call('nac_model_attach', this.address, lend.text(name).address, at, bytes.length));
      at += bytes.length;
    }
  }

  /** For a session: the model and, where the session is to close it, what its files lie in.
   * @param {boolean} close
   */
  lend(close) {
    return close ? [this.handOver(), this.#block] : [this.address, 0];
  }

  /** @param {number} address @protected */
  release(address) {
    this.heap.exports.nac_model_close(address);
    this.heap.free(this.#block);
  }
}

export class Session extends Owned {
  /**
   * @param {Heap} heap
   * @param {Model} model
   * @param {{ batch?: number, height?: number, width?: number, taps?: Tap[], backend?: 'reference' | 'xnnpack', keepMaps?: boolean,
   *   closeModel?: boolean }} [options] without taps the core chooses ("auto"); height and width 0: the model's own; closeModel: the model is closed,
   *   whatever comes of the session, and its memory given back before the session takes most of its own
   */
  constructor(heap, model, { batch = 1, height = 0, width = 0, taps = [], backend = 'xnnpack', keepMaps = false, closeModel = false } = {}) {
    // Weights become floats. Of bytes nobody knows yet how many do.
    const { info, bytes } = model;
    heap.reserve(bytes < 2 * info.parameters ? bytes : 4 * info.parameters);
    const address = heap.borrow((lend) => {
      const names = lend.pointers(taps.map((tap) => lend.text(tap.name).address));
      const pools = lend.copy(Int32Array.from(taps, (tap) => POOLS.indexOf(tap.pool)));
      const size = [batch, height, width];
      return heap.callForAddress('nacw_session_create', ...model.lend(closeModel), ...size, names, pools, taps.length, BACKENDS.indexOf(backend), keepMaps ? 1 : 0);
    });
    super(heap, address);
    const { exports } = heap;
    /** @type {number} */
    this.batch = exports.nac_session_batch(address);
    /** @type {number} K */
    this.classes = exports.nac_session_classes(address);
    /** @type {(Tap & { neurons: number })[]} */
    this.taps = Array.from({ length: exports.nac_session_tap_count(address) }, (_, tap) => ({
      name: heap.text(exports.nac_session_tap_name(address, tap)) ?? '',
      pool: POOLS[exports.nac_session_tap_pool(address, tap)],
      neurons: exports.nac_session_tap_neurons(address, tap),
    }));
    /** The tap that the classifier reads, -1 where none is. @type {number} */
    this.classifierTap = exports.nac_session_classifier_tap(address);
    const input = this.#dims((dims) => exports.nac_session_input(address, dims));
    /** [N, H, W, C] of the input */
    this.dims = input.dims;
    this.inputAddress = input.address;
  }

  /** @param {(dims: number) => number} call */
  #dims(call) {
    return this.heap.borrow((lend) => {
      const cells = lend.alloc(16);
      const address = call(cells) >>> 0;
      return { address, dims: address === 0 ? [0, 0, 0, 0] : [...this.heap.i32(cells, 4)] };
    });
  }

  get info() {
    return JSON.parse(this.heap.text(this.heap.exports.nac_session_info(this.address)) ?? '{}');
  }

  /** Floats of one image of the input. */
  get imageFloats() {
    return this.dims[1] * this.dims[2] * this.dims[3];
  }

  /**
   * The input of image `n` as a view: fill it at once, do not keep it.
   * @param {number} [n]
   */
  input(n = 0) {
    if (this.closed) throw new NacError('CLOSED', 'this object has been closed');
    return this.heap.f32(this.inputAddress + 4 * n * this.imageFloats, this.imageFloats);
  }

  forward() {
    this.heap.call('nac_session_forward', this.address);
  }

  /** After forward(). */
  backward() {
    this.heap.call('nac_session_backward', this.address);
  }

  /** Nodes of the plan; those before forwardCount are the forward pass. `info.nodes` says what each one is. */
  get nodeCount() {
    return this.heap.exports.nac_session_node_count(this.address);
  }

  get forwardCount() {
    return this.heap.exports.nac_session_forward_count(this.address);
  }

  /**
   * One node by itself, for timing: all of them in order are forward() and backward() without their checks.
   * @param {number} node
   */
  runNode(node) {
    this.heap.call('nac_session_run_node', this.address, node);
  }

  /** A copy: [N, K]. */
  logits() {
    return this.heap.f32(this.logitsAddress, this.batch * this.classes).slice();
  }

  get logitsAddress() {
    return this.heap.exports.nac_session_logits(this.address) >>> 0;
  }

  /** @param {number} tap */
  zAddress(tap) {
    return this.heap.exports.nac_session_tap_z(this.address, tap) >>> 0;
  }

  /** @param {number} tap */
  gAddress(tap) {
    return this.heap.exports.nac_session_tap_g(this.address, tap) >>> 0;
  }

  /** A copy: [N, C].
   * @param {number} tap
   */
  z(tap) {
    return this.heap.f32(this.zAddress(tap), this.batch * this.taps[tap].neurons).slice();
  }

  /** A copy: [N, C].
   * @param {number} tap
   */
  g(tap) {
    return this.heap.f32(this.gAddress(tap), this.batch * this.taps[tap].neurons).slice();
  }

  /**
   * logits = weight z + bias, with z of the classifierTap, as copies; of a session with the backend "reference".
   * @returns {{ weight: Float32Array, bias: Float32Array }} [K, C] and [K]
   */
  classifier() {
    const [K, C] = [this.classes, this.taps[this.classifierTap]?.neurons ?? 0];
    return this.heap.borrow((lend) => {
      const [weight, bias] = [lend.alloc(4 * K * C), lend.alloc(4 * K)];
      this.heap.call('nac_session_classifier', this.address, weight, bias);
      return { weight: this.heap.f32(weight, K * C).slice(), bias: this.heap.f32(bias, K).slice() };
    });
  }

  /**
   * The tap's whole activation as a copy, [N, H, W, C], or null without keepMaps.
   * @param {number} tap
   */
  map(tap) {
    const { address, dims } = this.#dims((cells) => this.heap.exports.nac_session_tap_map(this.address, tap, cells));
    if (address === 0) return null;
    return { dims, values: this.heap.f32(address, dims[0] * dims[1] * dims[2] * dims[3]).slice() };
  }

  /** @param {number} address @protected */
  release(address) {
    this.heap.exports.nac_session_destroy(address);
  }
}
