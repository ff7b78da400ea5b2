// @ts-check
/** A file on its way into the engine's memory. */
import { Owned } from './heap.js';

export class Incoming extends Owned {
  #filled = 0;

  /**
   * @param {import('./heap.js').Heap} heap
   * @param {number} size that the file will have
   */
  constructor(heap, size) {
    super(heap, heap.alloc(size));
    this.size = size;
  }

  get filled() {
    return this.#filled;
  }

  /** The next bytes of it, which are copied. False: there are more than there should be, and these were not taken.
   * @param {Uint8Array} piece
   */
  add(piece) {
    if (this.#filled + piece.length > this.size) return false;
    this.heap.u8(this.address + this.#filled, piece.length).set(piece);
    this.#filled += piece.length;
    return true;
  }

  /** What has come, as bytes of its own. */
  bytes() {
    return this.heap.u8(this.address, this.#filled).slice();
  }

  /** The block, for its new owner to free; this is closed. */
  take() {
    return this.handOver();
  }
}
