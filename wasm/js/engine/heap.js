// @ts-check
/**
 * The memory of one wasm instance: addresses, views, text, and calls that turn a status into a NacError. Only the modules of
 * this folder know addresses; what leaves it are plain objects and copies.
 *
 * Memory may grow in any call, and growth detaches every view. So views are made when they are needed and never kept.
 */
import { NacError } from '../error.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Bytes that a system gives at a time, at least. */
const PAGE = 4096;

/** @typedef {number} Address */

export class Heap {
  /** Cells for results: two addresses or sizes, and a status that failed. */
  #cells;
  /** Bytes that warm() has had. */
  #warm = 0;

  /** @param {Record<string, any>} exports of the instance */
  constructor(exports) {
    this.exports = exports;
    /** @type {WebAssembly.Memory} */
    this.memory = exports.memory;
    this.error = /** @type {Address} */ (exports.nacw_error());
    this.#cells = this.alloc(64);
  }

  /** Bytes of linear memory; it never shrinks. */
  get size() {
    return this.memory.buffer.byteLength;
  }

  /** @param {Address} address @param {number} length */
  u8(address, length) {
    return new Uint8Array(this.memory.buffer, address, length);
  }

  /** @param {Address} address @param {number} length */
  i32(address, length) {
    return new Int32Array(this.memory.buffer, address, length);
  }

  /** @param {Address} address @param {number} length */
  u32(address, length) {
    return new Uint32Array(this.memory.buffer, address, length);
  }

  /** @param {Address} address @param {number} length */
  u64(address, length) {
    return new BigUint64Array(this.memory.buffer, address, length);
  }

  /** @param {Address} address @param {number} length */
  f32(address, length) {
    return new Float32Array(this.memory.buffer, address, length);
  }

  /** @param {Address} address @param {number} length */
  f64(address, length) {
    return new Float64Array(this.memory.buffer, address, length);
  }

  /**
   * @param {number} bytes
   * @returns {Address}
   */
  alloc(bytes) {
    // What an address cannot hold would be cut to 32 bits on its way.
    const address = bytes < 2 ** 32 ? this.exports.malloc(Math.max(bytes, 1)) >>> 0 : 0;
    if (address === 0) throw new NacError('OUT_OF_MEMORY', `memory ran out: ${bytes} bytes more are needed`);
    return address;
  }

  /**
   * Lets the memory grow once where it would in many steps: each costs the engine a system call, and often a collection of garbage.
   * @param {number} bytes that are going to be allocated; where there are not so many, that will be said then
   */
  reserve(bytes) {
    if (bytes < 2 ** 32) this.exports.free(this.exports.malloc(bytes));
  }

  /**
   * Has the system give memory that is going to be allocated. It does so page by page, when each is first written to, which takes longer than
   * what is then done with it.
   * @param {number} bytes to have now
   * @param {number} total of all calls: the memory grows once
   */
  warm(bytes, total) {
    if (total >= 2 ** 32) return;
    const address = this.exports.malloc(total) >>> 0;
    if (address === 0) return;
    const block = this.u8(address, total);
    for (; this.#warm < Math.min(bytes, total); this.#warm += PAGE) block[this.#warm] = 0;
    this.free(address);
  }

  /** @param {Address} address */
  free(address) {
    this.exports.free(address);
  }

  /**
   * Copies bytes, or the numbers of a typed array, into new memory.
   * @param {ArrayBufferView} array
   * @returns {Address}
   */
  copy(array) {
    const address = this.alloc(array.byteLength);
    this.u8(address, array.byteLength).set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return address;
  }

  /**
   * Bytes one behind the other in one block.
   * @param {Uint8Array[]} parts
   * @returns {Address}
   */
  copyAll(parts) {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    const address = this.alloc(size);
    const block = this.u8(address, size);
    let at = 0;
    for (const part of parts) {
      block.set(part, at);
      at += part.length;
    }
    return address;
  }

  /**
   * A NUL-terminated text, or null for address 0.
   * @param {Address} address
   * @returns {string | null}
   */
  text(address) {
    address >>>= 0;
    if (address === 0) return null;
    const bytes = new Uint8Array(this.memory.buffer, address);
    return decoder.decode(bytes.subarray(0, bytes.indexOf(0)));
  }

  /**
   * Runs `body` with a lender of memory that is given back when it ends, however it ends.
   * @template T
   * @param {(lend: Lender) => T} body
   * @returns {T}
   */
  borrow(body) {
    const lend = new Lender(this);
    try {
      return body(lend);
    } finally {
      lend.close();
    }
  }

  /**
   * Calls an export that returns a nac_status and takes a nac_error last.
   * @param {string} name
   * @param {...(number | bigint)} args
   */
  call(name, ...args) {
    const status = this.exports[name](...args, this.error);
    if (status !== 0) {
      const code = this.text(this.exports.nac_status_name(status)) ?? 'INTERNAL';
      throw new NacError(code, this.text(this.exports.nacw_error_message()) || code);
    }
  }

  /**
   * Calls an export that writes an address as its last result: nac_model_open(bytes, size, &model, error).
   * @param {string} name
   * @param {...(number | bigint)} args
   * @returns {Address}
   */
  callForAddress(name, ...args) {
    return this.callForPair(name, args, 1)[0];
  }

  /**
   * The same with `count` results of 32 bits in a row.
   * @param {string} name
   * @param {(number | bigint)[]} args
   * @param {number} [count]
   * @returns {number[]}
   */
  callForPair(name, args, count = 2) {
    const cells = Array.from({ length: count }, (_, i) => this.#cells + 4 * i);
    this.call(name, ...args, ...cells);
    return [...this.u32(this.#cells, count)];
  }

  /** A size and the address of an array of that many: const uint64_t *nac_profile_hashes(profile, &count).
   * @param {string} name
   * @param {Address} object
   * @returns {{ address: Address, count: number }}
   */
  array(name, object) {
    const address = this.exports[name](object, this.#cells) >>> 0;
    return { address, count: address === 0 ? 0 : this.u32(this.#cells, 1)[0] };
  }
}

class Lender {
  /** @type {Address[]} */
  #lent = [];
  #heap;

  /** @param {Heap} heap */
  constructor(heap) {
    this.#heap = heap;
  }

  /** @param {number} bytes */
  alloc(bytes) {
    const address = this.#heap.alloc(bytes);
    this.#lent.push(address);
    return address;
  }

  /** @param {ArrayBufferView} array */
  copy(array) {
    const address = this.#heap.copy(array);
    this.#lent.push(address);
    return address;
  }

  /** NUL-terminated UTF-8. `size` is its length in bytes without the NUL.
   * @param {string} text
   */
  text(text) {
    const bytes = encoder.encode(text);
    const address = this.alloc(bytes.length + 1);
    const view = this.#heap.u8(address, bytes.length + 1);
    view.set(bytes);
    view[bytes.length] = 0;
    return { address, size: bytes.length };
  }

  /** An array of addresses.
   * @param {Address[]} addresses
   */
  pointers(addresses) {
    return this.copy(Uint32Array.from(addresses));
  }

  close() {
    for (const address of this.#lent) this.#heap.free(address);
    this.#lent.length = 0;
  }
}

/**
 * Something in the heap that must be given back. Use after close() is an error here, not a wild read there.
 */
export class Owned {
  #address;

  /**
   * @param {Heap} heap
   * @param {Address} address
   */
  constructor(heap, address) {
    this.heap = heap;
    this.#address = address;
  }

  /** @returns {Address} */
  get address() {
    if (this.#address === 0) throw new NacError('CLOSED', 'this object has been closed');
    return this.#address;
  }

  get closed() {
    return this.#address === 0;
  }

  /** Closes this, but leaves the memory to whoever gets the address. @protected */
  handOver() {
    const { address } = this;
    this.#address = 0;
    return address;
  }

  /** Gives the memory back; a second time does nothing. */
  close() {
    if (this.#address === 0) return;
    const address = this.#address;
    this.#address = 0;
    this.release(address);
  }

  /** @param {Address} address @protected */
  release(address) {
    this.heap.free(address);
  }
}
