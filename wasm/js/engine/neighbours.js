// @ts-check
/** Features of in-distribution images, and how far others are from the k-th nearest of them (KNN). */
import { NacError } from '../error.js';
import { Owned } from './heap.js';

/** @typedef {import('./heap.js').Heap} Heap */

export class Neighbours extends Owned {
  /**
   * @param {Heap} heap
   * @param {{ references: Float32Array[], k: number }} how references: [C] each, one at least; k: at most as many as there are
   */
  constructor(heap, { references, k }) {
    const C = references[0].length;
    const address = heap.alloc(4 * C * references.length);
    try {
      references.forEach((row, n) => heap.f32(address + 4 * C * n, C).set(row));
      heap.call('nac_neighbours_prepare', address, references.length, C);
    } catch (error) {
      heap.free(address);
      throw error;
    }
    super(heap, address);
    this.count = references.length;
    this.neurons = C;
    this.k = k;
  }

  /**
   * High = in-distribution.
   * @param {Float32Array[]} rows features of images
   * @returns {Float32Array} a score each
   */
  score(rows) {
    const C = this.neurons;
    return this.heap.borrow((lend) => {
      const queries = lend.alloc(4 * C * rows.length);
      const scores = lend.alloc(4 * rows.length);
      rows.forEach((row, n) => {
        if (row.length !== C) throw new NacError('MISMATCH', `${row.length} features, where the references have ${C}`);
        this.heap.f32(queries + 4 * C * n, C).set(row);
      });
      this.heap.call('nac_neighbours_score', this.address, this.count, queries, rows.length, C, this.k, scores);
      return this.heap.f32(scores, rows.length).slice();
    });
  }
}
